package io.thimble.vmm.boot;

/**
 * Where things lie in guest-physical memory when an x86 machine starts. All values are addresses or sizes in bytes.
 *
 * <pre>
 * 0x00000-0x9fbff  RAM            boot structures up to 0x2ffff: free for the kernel once it has copied them
 * 0x9fc00-0xfffff  e820 reserved  ACPI tables from 0xe0000, MP table from 0xf0000
 * 0x100000-        RAM            kernel, initrd; up to 3 GiB
 * 3 GiB-4 GiB      hole           devices: virtio-mmio, IOAPIC, local APIC, KVM's own pages
 * 4 GiB-           RAM            what does not fit below the hole
 * </pre>
 */
public final class BootLayout {
    /**
     * The MP floating pointer: in the first KiB, which Linux searches first. Each 16 bytes that it searches cost some
     * 0.8 ms where the kernel still runs in KVM's emulator (kvm-pvm).
     */
    public static final long MP_FLOATING_POINTER_ADDRESS = 0x10;

    /** The boot GDT. */
    public static final long GDT_ADDRESS = 0x500;
    /** The boot IDT (empty). */
    public static final long IDT_ADDRESS = 0x520;

    /** {@code struct hvm_start_info}; its module list and memory map follow in the same page. */
    public static final long PVH_START_INFO_ADDRESS = 0x6000;
    /** The first address behind what PVH may use. */
    public static final long PVH_START_INFO_END = 0x7000;

    /** {@code struct boot_params}, one page. */
    public static final long ZERO_PAGE_ADDRESS = 0x7000;
    /** Initial stack pointer; the stack grows down from here to the end of the zero page. */
    public static final long BOOT_STACK_TOP = 0x8ff0;

    /** Page-map level 4: one page. */
    public static final long PML4_ADDRESS = 0x9000;
    /** Page-directory pointers: one page. */
    public static final long PDPT_ADDRESS = 0xa000;
    /** Four page directories, which map the first 4 GiB one to one with 2 MiB pages: 0xb000-0xefff. */
    public static final long PD_ADDRESS = 0xb000;

    /** The command line, terminated by a zero byte. */
    public static final long COMMAND_LINE_ADDRESS = 0x20000;
    /** The space for the command line, its zero byte included. */
    public static final int COMMAND_LINE_SPACE = 0x10000;

    /** The first address behind the RAM below 640 KiB (where a BIOS has its extended data area). */
    public static final long LOW_RAM_END = 0x9fc00;
    /** RSDP and ACPI tables. The BIOS area is where a kernel without boot information looks for the RSDP. */
    public static final long ACPI_ADDRESS = 0xe0000;
    /** The first address behind the space for ACPI tables. */
    public static final long ACPI_END = 0xf0000;
    /** The MP floating pointer and configuration table; kernels scan 0xf0000-0xfffff for it. */
    public static final long MP_TABLE_ADDRESS = 0xf0000;
    /** The first address behind the space for the MP table. */
    public static final long MP_TABLE_END = 0x100000;

    /** Where RAM goes on above the first megabyte. */
    public static final long HIGH_MEMORY_ADDRESS = 0x100000;

    /** The hole for devices. RAM below it ends here at the latest. */
    public static final long PCI_HOLE_ADDRESS = 0xc000_0000L;
    /** The first address behind the hole: RAM that does not fit below it starts here. */
    public static final long PCI_HOLE_END = 0x1_0000_0000L;

    /** The window for virtio-mmio devices. */
    public static final long VIRTIO_MMIO_ADDRESS = 0xd000_0000L;
    /** The IOAPIC's registers. */
    public static final long IOAPIC_ADDRESS = 0xfec0_0000L;
    /** The page for KVM_SET_IDENTITY_MAP_ADDR. */
    public static final long IDENTITY_MAP_ADDRESS = 0xfffb_c000L;
    /** The three pages for KVM_SET_TSS_ADDR. */
    public static final long TSS_ADDRESS = 0xfffb_d000L;
    /** Each CPU's local APIC. */
    public static final long LAPIC_ADDRESS = 0xfee0_0000L;

    private BootLayout() {}
}
