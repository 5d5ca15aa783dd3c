package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;

/** Writes {@code struct hvm_start_info}, version 1, with one module (the initrd) and the memory map behind it. */
final class PvhStartInfo {
    private static final long MODULE_LIST = BootLayout.PVH_START_INFO_ADDRESS + 0x40;
    private static final long MEMORY_MAP = BootLayout.PVH_START_INFO_ADDRESS + 0x80;
    private static final long MAX_ENTRIES =
            (BootLayout.PVH_START_INFO_END - MEMORY_MAP) / HvmStartInfo.SIZEOF_MEMMAP_TABLE_ENTRY;

    private PvhStartInfo() {}

    /**
     * Writes it at {@link BootLayout#PVH_START_INFO_ADDRESS}. The types of the memory map are E820's.
     *
     * @param rsdpAddress the ACPI root pointer, 0 if there is none
     * @throws BootException if the memory map has too many entries
     */
    static void write(GuestMemory memory, E820 e820, long initrdAddress, long initrdSize, long rsdpAddress)
            throws BootException {
        int count = e820.entries().size();
        if (count > MAX_ENTRIES) {
            throw new BootException("The memory map has " + count + " entries; PVH's holds " + MAX_ENTRIES);
        }
        long info = BootLayout.PVH_START_INFO_ADDRESS;
        memory.fill(info, BootLayout.PVH_START_INFO_END - info, (byte) 0);
        memory.putInt(info + HvmStartInfo.MAGIC, HvmStartInfo.XEN_HVM_START_MAGIC_VALUE);
        memory.putInt(info + HvmStartInfo.VERSION, 1);
        if (initrdSize > 0) {
            memory.putInt(info + HvmStartInfo.NR_MODULES, 1);
            memory.putLong(info + HvmStartInfo.MODLIST_PADDR, MODULE_LIST);
            memory.putLong(MODULE_LIST + HvmStartInfo.MODLIST_ENTRY_PADDR, initrdAddress);
            memory.putLong(MODULE_LIST + HvmStartInfo.MODLIST_ENTRY_SIZE, initrdSize);
        }
        memory.putLong(info + HvmStartInfo.CMDLINE_PADDR, BootLayout.COMMAND_LINE_ADDRESS);
        memory.putLong(info + HvmStartInfo.RSDP_PADDR, rsdpAddress);
        memory.putLong(info + HvmStartInfo.MEMMAP_PADDR, MEMORY_MAP);
        memory.putInt(info + HvmStartInfo.MEMMAP_ENTRIES, count);
        long at = MEMORY_MAP;
        for (E820.Entry entry : e820.entries()) {
            memory.putLong(at + HvmStartInfo.MEMMAP_ENTRY_ADDR, entry.address());
            memory.putLong(at + HvmStartInfo.MEMMAP_ENTRY_SIZE, entry.size());
            memory.putInt(at + HvmStartInfo.MEMMAP_ENTRY_TYPE, entry.type());
            at += HvmStartInfo.SIZEOF_MEMMAP_TABLE_ENTRY;
        }
    }
}
