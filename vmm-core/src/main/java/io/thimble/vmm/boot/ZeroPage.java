package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;

/** Writes {@code struct boot_params} for the 32-bit and 64-bit Linux boot protocols. */
final class ZeroPage {
    /** What an ELF vmlinux, which has no setup header, is told about the boot loader: the protocol of Linux 5.5 on. */
    private static final short PROTOCOL_VERSION = 0x20f;

    private static final int ELF_KERNEL_ALIGNMENT = 0x100_0000;

    private ZeroPage() {}

    /**
     * Writes the page at {@link BootLayout#ZERO_PAGE_ADDRESS}. Every byte of it is written.
     *
     * @param commandLineSize the command line's length, without the zero byte
     * @param rsdpAddress the ACPI root pointer, 0 if there is none
     * @throws BootException if the memory map has too many entries
     */
    static void write(
            GuestMemory memory,
            KernelImage image,
            E820 e820,
            int commandLineSize,
            long initrdAddress,
            long initrdSize,
            long rsdpAddress)
            throws BootException {
        long page = BootLayout.ZERO_PAGE_ADDRESS;
        memory.fill(page, BootParams.SIZEOF, (byte) 0);
        if (image instanceof BzImage bzImage) {
            byte[] header = bzImage.setupHeader();
            memory.write(page + BootParams.HDR, header, 0, header.length);
            memory.putInt(page + BootParams.HDR_CODE32_START, (int) image.start());
            memory.putLong(page + BootParams.HDR_SETUP_DATA, 0);
        } else {
            memory.putShort(page + BootParams.HDR_BOOT_FLAG, BootParams.BOOT_FLAG_MAGIC);
            memory.putInt(page + BootParams.HDR_HEADER, BootParams.HEADER_MAGIC);
            memory.putShort(page + BootParams.HDR_VERSION, PROTOCOL_VERSION);
            memory.putByte(page + BootParams.HDR_LOADFLAGS, (byte) BootParams.LOADED_HIGH);
            memory.putInt(page + BootParams.HDR_KERNEL_ALIGNMENT, ELF_KERNEL_ALIGNMENT);
            memory.putInt(page + BootParams.HDR_CMDLINE_SIZE, commandLineSize);
        }
        memory.putByte(page + BootParams.HDR_TYPE_OF_LOADER, BootParams.LOADER_TYPE_UNDEFINED);
        putSplit(memory, BootParams.HDR_CMD_LINE_PTR, BootParams.EXT_CMD_LINE_PTR, BootLayout.COMMAND_LINE_ADDRESS);
        putSplit(memory, BootParams.HDR_RAMDISK_IMAGE, BootParams.EXT_RAMDISK_IMAGE, initrdAddress);
        putSplit(memory, BootParams.HDR_RAMDISK_SIZE, BootParams.EXT_RAMDISK_SIZE, initrdSize);
        memory.putLong(page + BootParams.ACPI_RSDP_ADDR, rsdpAddress);
        writeE820(memory, e820);
    }

    private static void writeE820(GuestMemory memory, E820 e820) throws BootException {
        int count = e820.entries().size();
        if (count > BootParams.E820_MAX_ENTRIES_ZEROPAGE) {
            throw new BootException("The memory map has " + count + " entries; the zero page holds "
                    + BootParams.E820_MAX_ENTRIES_ZEROPAGE);
        }
        long at = BootLayout.ZERO_PAGE_ADDRESS + BootParams.E820_TABLE;
        for (E820.Entry entry : e820.entries()) {
            memory.putLong(at, entry.address());
            memory.putLong(at + 8, entry.size());
            memory.putInt(at + 16, entry.type());
            at += BootParams.SIZEOF_BOOT_E820_ENTRY;
        }
        memory.putByte(BootLayout.ZERO_PAGE_ADDRESS + BootParams.E820_ENTRIES, (byte) count);
    }

    /** Writes a 64-bit value as the low half in the header and the high half in boot_params. */
    private static void putSplit(GuestMemory memory, long lowOffset, long highOffset, long value) {
        memory.putInt(BootLayout.ZERO_PAGE_ADDRESS + lowOffset, (int) value);
        memory.putInt(BootLayout.ZERO_PAGE_ADDRESS + highOffset, (int) (value >>> 32));
    }
}
