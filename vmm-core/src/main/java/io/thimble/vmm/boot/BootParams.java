package io.thimble.vmm.boot;

/**
 * {@code struct boot_params} ("zero page") and the {@code struct setup_header} inside it: offsets from the start of the
 * page, which for the header are also offsets in a bzImage file. Source: arch/x86/include/uapi/asm/bootparam.h and
 * Documentation/arch/x86/boot.rst.
 *
 * <pre>
 * struct boot_params {                     struct setup_header {          // at 0x1f1
 *   ...                                      __u8  setup_sects;   // 0x1f1
 *   __u64 acpi_rsdp_addr;      // 0x070      __u16 boot_flag;     // 0x1fe
 *   __u32 ext_ramdisk_image;   // 0x0c0      __u16 jump;          // 0x200
 *   __u32 ext_ramdisk_size;    // 0x0c4      __u32 header;        // 0x202
 *   __u32 ext_cmd_line_ptr;    // 0x0c8      ...
 *   __u8  e820_entries;        // 0x1e8    };
 *   struct setup_header hdr;   // 0x1f1
 *   struct boot_e820_entry e820_table[128];  // 0x2d0
 * };
 * </pre>
 */
final class BootParams {
    /** {@code sizeof(struct boot_params)}. */
    static final long SIZEOF = 0x1000;

    static final long ACPI_RSDP_ADDR = 0x070;
    static final long EXT_RAMDISK_IMAGE = 0x0c0;
    static final long EXT_RAMDISK_SIZE = 0x0c4;
    static final long EXT_CMD_LINE_PTR = 0x0c8;
    static final long E820_ENTRIES = 0x1e8;

    /** Where {@code struct setup_header} starts. */
    static final long HDR = 0x1f1;

    static final long HDR_SETUP_SECTS = 0x1f1;
    static final long HDR_SYSSIZE = 0x1f4;
    static final long HDR_BOOT_FLAG = 0x1fe;
    /** The second byte of {@code jump}: the distance from 0x202 to the header's end. */
    static final long HDR_JUMP_DISTANCE = 0x201;

    static final long HDR_HEADER = 0x202;
    static final long HDR_VERSION = 0x206;
    static final long HDR_TYPE_OF_LOADER = 0x210;
    static final long HDR_LOADFLAGS = 0x211;
    static final long HDR_CODE32_START = 0x214;
    static final long HDR_RAMDISK_IMAGE = 0x218;
    static final long HDR_RAMDISK_SIZE = 0x21c;
    static final long HDR_CMD_LINE_PTR = 0x228;
    static final long HDR_INITRD_ADDR_MAX = 0x22c;
    static final long HDR_KERNEL_ALIGNMENT = 0x230;
    static final long HDR_RELOCATABLE_KERNEL = 0x234;
    static final long HDR_XLOADFLAGS = 0x236;
    static final long HDR_CMDLINE_SIZE = 0x238;
    static final long HDR_PAYLOAD_OFFSET = 0x248;
    static final long HDR_PAYLOAD_LENGTH = 0x24c;
    static final long HDR_SETUP_DATA = 0x250;
    static final long HDR_PREF_ADDRESS = 0x258;
    static final long HDR_INIT_SIZE = 0x260;

    /** The first address behind the space that boot_params has for the header: {@code edd_mbr_sig_buffer}. */
    static final long HDR_SPACE_END = 0x290;

    static final long E820_TABLE = 0x2d0;
    /** {@code E820_MAX_ENTRIES_ZEROPAGE}. */
    static final int E820_MAX_ENTRIES_ZEROPAGE = 128;
    /** {@code sizeof(struct boot_e820_entry)}: {@code __u64 addr; __u64 size; __u32 type;}, packed. */
    static final long SIZEOF_BOOT_E820_ENTRY = 20;

    /** {@code boot_flag}'s value. */
    static final short BOOT_FLAG_MAGIC = (short) 0xaa55;
    /** {@code header}'s value, "HdrS". */
    static final int HEADER_MAGIC = 0x53726448;
    /** {@code type_of_loader} of a boot loader that has no number of its own. */
    static final byte LOADER_TYPE_UNDEFINED = (byte) 0xff;

    /** {@code loadflags}: the protected-mode code is loaded at 1 MiB or above. */
    static final int LOADED_HIGH = 1;
    /** {@code xloadflags}: the kernel has the 64-bit entry point at 0x200. */
    static final int XLF_KERNEL_64 = 1;

    private BootParams() {}
}
