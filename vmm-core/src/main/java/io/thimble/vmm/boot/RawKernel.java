package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;

/**
 * A Linux kernel without headers: its bytes as they lie in memory, loaded at a given address and entered by Linux's 64-bit
 * boot protocol at another. libkrunfw gives its kernel so. How much memory the kernel clears behind its last byte is not known.
 */
public final class RawKernel implements KernelImage {
    /** More than any kernel: what a wrong size may cost. */
    private static final long SIZE_LIMIT = 1L << 30;

    private final BootFile file;
    private final long loadAddress;
    private final long entry;

    private RawKernel(BootFile file, long loadAddress, long entry) throws KernelImageException {
        this.file = file;
        this.loadAddress = loadAddress;
        this.entry = entry;
        if (loadAddress < BootLayout.HIGH_MEMORY_ADDRESS
                || loadAddress >= BootLayout.PCI_HOLE_ADDRESS
                || loadAddress % GuestMemory.PAGE_SIZE != 0) {
            throw invalid(
                    String.format("its load address 0x%x is not a multiple of 4 KiB from 1 MiB to 3 GiB", loadAddress));
        }
        if (file.size() > SIZE_LIMIT || file.size() > BootLayout.PCI_HOLE_ADDRESS - loadAddress) {
            throw invalid(String.format("0x%x bytes at 0x%x do not fit below 3 GiB", file.size(), loadAddress));
        }
        if (entry < loadAddress || entry - loadAddress >= file.size()) {
            throw invalid(String.format(
                    "its entry point 0x%x is not inside 0x%x-0x%x", entry, loadAddress, loadAddress + file.size() - 1));
        }
    }

    /**
     * Opens a kernel in a file.
     *
     * @param loadAddress the guest-physical address of the file's first byte: a multiple of 4 KiB from 1 MiB on
     * @param entry the guest-physical address of the 64-bit entry point, inside the image
     * @throws BootException if there is no such file, or an address cannot be used
     */
    public static RawKernel open(Path path, long loadAddress, long entry) throws IOException {
        BootFile file = BootFile.open(path, "raw kernel image");
        try {
            RawKernel kernel = new RawKernel(file, loadAddress, entry);
            file = null;
            return kernel;
        } finally {
            if (file != null) {
                file.close();
            }
        }
    }

    /**
     * Takes a kernel that is in this process's memory, such as a library's.
     *
     * @param name for messages
     * @param bytes readable by any thread until {@code owner} is closed
     * @param owner closed with the kernel, and at once if an address cannot be used
     * @throws BootException as for {@link #open}
     */
    public static RawKernel of(String name, MemorySegment bytes, Closeable owner, long loadAddress, long entry)
            throws IOException {
        BootFile file = new BootFile(name, "", new SegmentSource(bytes, owner), bytes.byteSize());
        try {
            return new RawKernel(file, loadAddress, entry);
        } catch (KernelImageException e) {
            file.close();
            throw e;
        }
    }

    private record SegmentSource(MemorySegment bytes, Closeable owner) implements BootFile.Source {
        @Override
        public int read(ByteBuffer target, long position) {
            if (position >= bytes.byteSize()) {
                return -1;
            }
            int part = (int) Math.min(target.remaining(), bytes.byteSize() - position);
            target.put(bytes.asSlice(position, part).asByteBuffer());
            return part;
        }

        @Override
        public void close() throws IOException {
            owner.close();
        }
    }

    /** Returns the guest-physical address of the 64-bit entry point. */
    public long entry() {
        return entry;
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
        return CommandLine.MAX_LENGTH;
    }

    @Override
    public long initrdAddressMax() {
        return BootLayout.PCI_HOLE_ADDRESS - 1;
    }

    @Override
    public void load(GuestMemory memory, boolean memoryIsZero) throws IOException {
        if (!memory.contains(loadAddress, file.size())) {
            throw new InsufficientMemoryException("The kernel " + file.name(), end(), memory.size());
        }
        try {
            file.readInto(memory, loadAddress, 0, file.size());
        } catch (EOFException e) {
            KernelImageException truncated = invalid("the raw kernel image was truncated");
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
                "%s: raw kernel image, 0x%x bytes at 0x%x, 64-bit entry 0x%x",
                file.name(), file.size(), loadAddress, entry);
    }

    @Override
    public String toString() {
        return describe();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    private KernelImageException invalid(String problem) {
        return new KernelImageException(file.name(), problem);
    }
}
