package io.thimble.vmm.x86;

import java.util.List;

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

    /** Those that no device of the board has: for virtio devices, which take them in this order. */
    public static final List<Integer> FREE = List.of(5, 6, 7, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 12);

    private LegacyInterrupts() {}
}
