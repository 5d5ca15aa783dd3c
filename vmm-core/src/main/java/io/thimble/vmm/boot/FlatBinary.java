package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Path;

/**
 * A file without headers, loaded byte for byte at a given address and entered in a given mode; for tests and teaching. It
 * gets no boot information, no command line and no initrd.
 */
public final class FlatBinary implements KernelImage {
    private static final int REAL_MODE_LIMIT = 0x10_0000;

    private final BootFile file;
    private final EntryMode mode;
    private final long loadAddress;
    private final int codeSegment;
    private final long entry;

    private FlatBinary(BootFile file, EntryMode mode, long loadAddress, int codeSegment, long entry) {
        this.file = file;
        this.mode = mode;
        this.loadAddress = loadAddress;
        this.codeSegment = codeSegment;
        this.entry = entry;
    }

    /**
     * Opens a real-mode program, loaded at {@code CS * 16} and entered at CS:IP.
     *
     * @param cs 0 to 0xffff
     * @param ip 0 to 0xffff, less than the file's size
     * @throws BootException if there is no such file, or it does not fit below 1 MiB
     */
    public static FlatBinary openRealMode(Path path, int cs, int ip) throws IOException {
        if (cs < 0 || cs > 0xffff || ip < 0 || ip > 0xffff) {
            throw new BootException(String.format("CS:IP %x:%x: both must be 16-bit numbers", cs, ip));
        }
        long loadAddress = (long) cs << 4;
        return open(path, EntryMode.REAL_16, loadAddress, cs, ip, loadAddress + ip);
    }

    /**
     * Opens a program for protected or long mode.
     *
     * @param mode any mode but {@link EntryMode#REAL_16}
     * @param loadAddress the guest-physical address of the file's first byte, below 4 GiB
     * @param entry the guest-physical address of its first instruction, inside the file
     * @throws BootException if there is no such file, or the entry is not in it
     */
    public static FlatBinary open(Path path, EntryMode mode, long loadAddress, long entry) throws IOException {
        if (mode == EntryMode.REAL_16) {
            throw new IllegalArgumentException("Real mode starts at CS:IP: use openRealMode");
        }
        return open(path, mode, loadAddress, 0, entry, entry);
    }

    private static FlatBinary open(
            Path path, EntryMode mode, long loadAddress, int codeSegment, long entry, long linearEntry)
            throws IOException {
        BootFile file = BootFile.open(path, "flat binary");
        try {
            long limit = mode == EntryMode.REAL_16 ? REAL_MODE_LIMIT : BootLayout.PCI_HOLE_END;
            if (loadAddress < 0 || loadAddress >= limit || file.size() > limit - loadAddress) {
                throw new BootException(String.format(
                        "%s: 0x%x bytes at 0x%x do not fit below 0x%x", path, file.size(), loadAddress, limit));
            }
            if (linearEntry < loadAddress || linearEntry - loadAddress >= file.size()) {
                throw new BootException(String.format(
                        "%s: the entry point 0x%x is not inside 0x%x-0x%x",
                        path, linearEntry, loadAddress, loadAddress + file.size() - 1));
            }
            FlatBinary binary = new FlatBinary(file, mode, loadAddress, codeSegment, entry);
            file = null;
            return binary;
        } finally {
            if (file != null) {
                file.close();
            }
        }
    }

    /** Returns the state in which the boot CPU enters the program. */
    public EntryMode entryMode() {
        return mode;
    }

    /** Returns the entry point as {@link LoadedKernel#entryPoint} has it. */
    public long entry() {
        return entry;
    }

    /** Returns CS in real mode, else 0. */
    public int codeSegment() {
        return codeSegment;
    }

    @Override
    public long start() {
        return loadAddress;
    }

    @Override
    public long end() {
        return loadAddress + file.size();
    }

    @Override
    public int maxCommandLineLength() {
        return 0;
    }

    @Override
    public long initrdAddressMax() {
        return 0;
    }

    @Override
    public void load(GuestMemory memory, boolean memoryIsZero) throws IOException {
        if (!memory.contains(loadAddress, file.size())) {
            throw new InsufficientMemoryException("The flat binary " + file.name(), end(), memory.size());
        }
        try {
            file.readInto(memory, loadAddress, 0, file.size());
        } catch (EOFException e) {
            KernelImageException truncated = new KernelImageException(file.name(), "the flat binary was truncated");
            truncated.initCause(e);
            throw truncated;
        }
    }

    @Override
    public String packing() {
        return file.packing();
    }

    @Override
    public String describe() {
        return String.format(
                "%s: flat binary, 0x%x bytes at 0x%x, %s entry %s",
                file.name(),
                file.size(),
                loadAddress,
                mode,
                mode == EntryMode.REAL_16
                        ? String.format("%04x:%04x", codeSegment, entry)
                        : "0x" + Long.toHexString(entry));
    }

    @Override
    public String toString() {
        return describe();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
