package io.thimble.vmm.x86;

/** Which global system interrupt each device of the board drives; the firmware tables tell the guest the same. */
public final class LegacyInterrupts {
    /** The keyboard controller's. */
    public static final int KEYBOARD = 1;

    /** The second serial port's. */
    public static final int COM2 = 3;

    /** The first serial port's. */
    public static final int COM1 = 4;

    /** The real-time clock's. */
    public static final int RTC = 8;

    /** ACPI's system control interrupt: level-triggered, active high. */
    public static final int SCI = 9;

    private LegacyInterrupts() {}
}
