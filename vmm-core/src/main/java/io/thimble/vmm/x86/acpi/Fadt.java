package io.thimble.vmm.x86.acpi;

/** Offsets and flags of the Fixed ACPI Description Table, revision 6 (ACPI specification 6.5, section 5.2.9). */
final class Fadt {
    static final int SIZEOF = 276;

    static final int FIRMWARE_CTRL = 36;
    static final int DSDT = 40;
    static final int SCI_INT = 46;
    static final int PM1A_EVT_BLK = 56;
    static final int PM1A_CNT_BLK = 64;
    static final int PM1_EVT_LEN = 88;
    static final int PM1_CNT_LEN = 89;
    static final int P_LVL2_LAT = 96;
    static final int P_LVL3_LAT = 98;
    static final int IAPC_BOOT_ARCH = 109;
    static final int FLAGS = 112;
    static final int RESET_REG = 116;
    static final int RESET_VALUE = 128;
    static final int X_DSDT = 140;
    static final int X_PM1A_EVT_BLK = 148;
    static final int X_PM1A_CNT_BLK = 172;
    static final int HYPERVISOR_VENDOR_IDENTITY = 268;

    /** {@code P_LVL2_LAT}: above 100, so there is no C2. */
    static final int NO_C2 = 0xfff;
    /** {@code P_LVL3_LAT}: above 1000, so there is no C3. */
    static final int NO_C3 = 0xfff;

    /** {@code Flags}: WBINVD works. */
    static final int WBINVD = 1;
    /** {@code Flags}: C1 works on all CPUs. */
    static final int PROC_C1 = 1 << 2;
    /** {@code Flags}: there is no fixed sleep button. (The bit for the power button is clear: there is a fixed one.) */
    static final int SLP_BUTTON = 1 << 5;
    /** {@code Flags}: the RTC's wake status is not in the fixed registers. */
    static final int FIX_RTC = 1 << 6;
    /** {@code Flags}: RESET_REG is there. */
    static final int RESET_REG_SUP = 1 << 10;

    /** {@code IAPC_BOOT_ARCH}: there are devices on an ISA bus. */
    static final int LEGACY_DEVICES = 1;
    /** {@code IAPC_BOOT_ARCH}: there is an i8042. */
    static final int I8042_PRESENT = 1 << 1;
    /** {@code IAPC_BOOT_ARCH}: there is no VGA. (The bit for a missing CMOS RTC is clear: there is one.) */
    static final int VGA_NOT_PRESENT = 1 << 2;

    private Fadt() {}
}
