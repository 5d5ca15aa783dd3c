package io.thimble.vmm.boot;

/**
 * Layout of PVH's boot information. Source: Xen's public/arch-x86/hvm/start_info.h.
 *
 * <pre>
 * struct hvm_start_info {          struct hvm_modlist_entry {    struct hvm_memmap_table_entry {
 *   uint32_t magic;         //  0    uint64_t paddr;       //  0    uint64_t addr;      //  0
 *   uint32_t version;       //  4    uint64_t size;        //  8    uint64_t size;      //  8
 *   uint32_t flags;         //  8    uint64_t cmdline_paddr; // 16  uint32_t type;      // 16
 *   uint32_t nr_modules;    // 12    uint64_t reserved;    // 24    uint32_t reserved;  // 20
 *   uint64_t modlist_paddr; // 16  };                             };
 *   uint64_t cmdline_paddr; // 24
 *   uint64_t rsdp_paddr;    // 32
 *   uint64_t memmap_paddr;  // 40
 *   uint32_t memmap_entries; // 48
 *   uint32_t reserved;      // 52
 * };
 * </pre>
 */
final class HvmStartInfo {
    /** {@code XEN_HVM_START_MAGIC_VALUE}. */
    static final int XEN_HVM_START_MAGIC_VALUE = 0x336ec578;

    static final long MAGIC = 0;
    static final long VERSION = 4;
    static final long NR_MODULES = 12;
    static final long MODLIST_PADDR = 16;
    static final long CMDLINE_PADDR = 24;
    static final long RSDP_PADDR = 32;
    static final long MEMMAP_PADDR = 40;
    static final long MEMMAP_ENTRIES = 48;
    static final long SIZEOF = 56;

    static final long MODLIST_ENTRY_PADDR = 0;
    static final long MODLIST_ENTRY_SIZE = 8;
    static final long SIZEOF_MODLIST_ENTRY = 32;

    static final long MEMMAP_ENTRY_ADDR = 0;
    static final long MEMMAP_ENTRY_SIZE = 8;
    static final long MEMMAP_ENTRY_TYPE = 16;
    static final long SIZEOF_MEMMAP_TABLE_ENTRY = 24;

    private HvmStartInfo() {}
}
