package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Linux's bzImage: a setup header and a protected-mode part, which unpacks the kernel itself. Entered at the 64-bit entry
 * point where it has one, else at the 32-bit one. Boot protocol 2.10 (Linux 2.6.31) or later, since only these tell how
 * much memory unpacking takes. Source: Documentation/arch/x86/boot.rst.
 */
public final class BzImage implements KernelImage {
    private static final int SECTOR = 512;
    private static final int DEFAULT_SETUP_SECTS = 4;
    private static final int PROTOCOL_2_10 = 0x20a;
    private static final int PROTOCOL_2_12 = 0x20c;
    private static final long ENTRY_64_OFFSET = 0x200;

    private final BootFile file;
    private final byte[] setupHeader;
    private final long codeOffset;
    private final long codeSize;
    private final long payloadAt;
    private final long payloadLength;
    private final long loadAddress;
    private final long end;
    private final boolean entry64;
    private final int maxCommandLine;
    private final long initrdAddressMax;

    private BzImage(BootFile file, ByteBuffer start) throws IOException {
        this.file = file;
        int version = start.getShort((int) BootParams.HDR_VERSION) & 0xffff;
        if (start.getShort((int) BootParams.HDR_BOOT_FLAG) != BootParams.BOOT_FLAG_MAGIC
                || start.getInt((int) BootParams.HDR_HEADER) != BootParams.HEADER_MAGIC) {
            throw invalid("its boot flag is not 0xaa55");
        }
        if (version < PROTOCOL_2_10) {
            throw invalid(String.format(
                    "boot protocol %d.%02d; 2.10 (Linux 2.6.31) or later is needed", version >> 8, version & 0xff));
        }
        if ((start.get((int) BootParams.HDR_LOADFLAGS) & BootParams.LOADED_HIGH) == 0) {
            throw invalid("a zImage, which is loaded below 1 MiB; build a bzImage");
        }
        int headerEnd = (int) BootParams.HDR_HEADER + (start.get((int) BootParams.HDR_JUMP_DISTANCE) & 0xff);
        if (headerEnd < BootParams.HDR_INIT_SIZE + Integer.BYTES) {
            throw invalid(String.format("its setup header ends at 0x%x, before init_size", headerEnd));
        }
        this.setupHeader = new byte[Math.min(headerEnd, (int) BootParams.HDR_SPACE_END) - (int) BootParams.HDR];
        start.get((int) BootParams.HDR, setupHeader);

        int setupSects = start.get((int) BootParams.HDR_SETUP_SECTS) & 0xff;
        this.codeOffset = (1L + (setupSects == 0 ? DEFAULT_SETUP_SECTS : setupSects)) * SECTOR;
        this.codeSize = unsigned(start, BootParams.HDR_SYSSIZE) * 16;
        if (codeSize == 0 || codeOffset > file.size() - codeSize) {
            throw invalid(String.format(
                    "truncated: the protected-mode part at 0x%x has 0x%x bytes, and the file 0x%x",
                    codeOffset, codeSize, file.size()));
        }

        long payload = unsigned(start, BootParams.HDR_PAYLOAD_OFFSET);
        long length = unsigned(start, BootParams.HDR_PAYLOAD_LENGTH);
        boolean inside = length <= codeSize && payload <= codeSize - length;
        this.payloadAt = inside ? codeOffset + payload : 0;
        this.payloadLength = inside ? length : 0;

        boolean relocatable = start.get((int) BootParams.HDR_RELOCATABLE_KERNEL) != 0;
        this.loadAddress = loadAddress(start, relocatable);
        this.end = loadAddress + Math.max(codeSize, unsigned(start, BootParams.HDR_INIT_SIZE));
        this.entry64 = version >= PROTOCOL_2_12
                && (start.getShort((int) BootParams.HDR_XLOADFLAGS) & BootParams.XLF_KERNEL_64) != 0;
        this.maxCommandLine = (int) Math.min(unsigned(start, BootParams.HDR_CMDLINE_SIZE), CommandLine.MAX_LENGTH);
        this.initrdAddressMax = unsigned(start, BootParams.HDR_INITRD_ADDR_MAX);
    }

    /** Reads and checks the setup header; the result owns the file. */
    static BzImage read(BootFile file) throws IOException {
        try {
            return new BzImage(file, file.read(0, (int) BootParams.SIZEOF));
        } catch (EOFException e) {
            throw truncated(file, e);
        }
    }

    /** Returns {@link EntryMode#LONG_64} or {@link EntryMode#PROTECTED_32}: what the kernel offers. */
    public EntryMode entryMode() {
        return entry64 ? EntryMode.LONG_64 : EntryMode.PROTECTED_32;
    }

    /** Returns the guest-physical address of the entry point. */
    public long entry() {
        return entry64 ? loadAddress + ENTRY_64_OFFSET : loadAddress;
    }

    /** Returns the file's {@code struct setup_header}, for the zero page. */
    byte[] setupHeader() {
        return setupHeader.clone();
    }

    /** Returns where in the file the compressed kernel begins. */
    long payloadAt() {
        return payloadAt;
    }

    /** Returns how many bytes the compressed kernel has, with its size at the end; 0 if the header does not tell. */
    long payloadLength() {
        return payloadLength;
    }

    @Override
    public long start() {
        return loadAddress;
    }

    @Override
    public long end() {
        return end;
    }

    @Override
    public int maxCommandLineLength() {
        return maxCommandLine;
    }

    @Override
    public long initrdAddressMax() {
        return Math.min(initrdAddressMax, BootLayout.PCI_HOLE_ADDRESS - 1);
    }

    @Override
    public void load(GuestMemory memory, boolean memoryIsZero) throws IOException {
        if (!memory.contains(loadAddress, end - loadAddress)) {
            throw new InsufficientMemoryException("The kernel " + file.name(), end, memory.size());
        }
        try {
            file.readInto(memory, loadAddress, codeOffset, codeSize);
        } catch (EOFException e) {
            throw truncated(file, e);
        }
    }

    @Override
    public String packing() {
        return file.packing();
    }

    @Override
    public String describe() {
        return String.format(
                "%s: bzImage, 0x%x bytes at 0x%x, unpacks up to 0x%x, %s entry 0x%x",
                file.name(), codeSize, loadAddress, end, entry64 ? "64-bit" : "32-bit", entry());
    }

    @Override
    public String toString() {
        return describe();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    /** A relocatable kernel goes where it would move itself to anyway, others to 1 MiB. */
    private long loadAddress(ByteBuffer start, boolean relocatable) throws KernelImageException {
        if (!relocatable) {
            return BootLayout.HIGH_MEMORY_ADDRESS;
        }
        long preferred = start.getLong((int) BootParams.HDR_PREF_ADDRESS);
        long alignment = unsigned(start, BootParams.HDR_KERNEL_ALIGNMENT);
        if (preferred < BootLayout.HIGH_MEMORY_ADDRESS
                || preferred >= BootLayout.PCI_HOLE_ADDRESS
                || Long.bitCount(alignment) != 1
                || (preferred & (alignment - 1)) != 0) {
            throw invalid(
                    String.format("its preferred address 0x%x (alignment 0x%x) cannot be used", preferred, alignment));
        }
        return preferred;
    }

    private static long unsigned(ByteBuffer buffer, long offset) {
        return Integer.toUnsignedLong(buffer.getInt((int) offset));
    }

    private static KernelImageException truncated(BootFile file, EOFException cause) {
        KernelImageException e = new KernelImageException(file.name(), "the bzImage is truncated");
        e.initCause(cause);
        return e;
    }

    private KernelImageException invalid(String problem) {
        return new KernelImageException(file.name(), "not a bootable bzImage: " + problem);
    }
}
