package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.ByteWideDevice;
import io.thimble.vmm.bus.InterruptLine;
import io.thimble.vmm.bus.Stateful;

/**
 * ACPI fixed hardware: the PM1a event block (status, enable) and the PM1a control block (ACPI 6.5, 4.8.3.1 and
 * 4.8.3.2; bit names as in ACPICA's {@code actypes.h}). It knows one fixed event, the power button, and one sleeping
 * state, S5. The machine is always in ACPI mode: SCI_EN reads 1, so the FADT names no SMI command.
 *
 * <p>Registers may be used by any vCPU thread, {@link #pressPowerButton} by any thread; all state is under one short
 * lock.
 */
public final class AcpiPm implements ByteWideDevice, Stateful<AcpiPm.State> {
    /** Port of the PM1a event block. */
    public static final int PM1A_EVENT_PORT = 0x600;
    /** FADT's PM1_EVT_LEN, in bytes: status and enable. */
    public static final int PM1_EVENT_LENGTH = 4;
    /** Port of the PM1a control block. */
    public static final int PM1A_CONTROL_PORT = PM1A_EVENT_PORT + PM1_EVENT_LENGTH;
    /** FADT's PM1_CNT_LEN, in bytes. */
    public static final int PM1_CONTROL_LENGTH = 2;
    /** Both blocks, in bytes. */
    public static final int LENGTH = PM1_EVENT_LENGTH + PM1_CONTROL_LENGTH;
    /** What the DSDT's {@code \_S5} gives for SLP_TYPa. */
    public static final int SLP_TYP_S5 = 5;

    static final int ACPI_BITMASK_TIMER_ENABLE = 0x0001;
    static final int ACPI_BITMASK_GLOBAL_LOCK_ENABLE = 0x0020;
    static final int ACPI_BITMASK_POWER_BUTTON_STATUS = 0x0100;
    static final int ACPI_BITMASK_POWER_BUTTON_ENABLE = 0x0100;
    static final int ACPI_BITMASK_SLEEP_BUTTON_ENABLE = 0x0200;
    static final int ACPI_BITMASK_RT_CLOCK_ENABLE = 0x0400;
    static final int ACPI_BITMASK_SCI_ENABLE = 0x0001;
    static final int ACPI_BITMASK_BUS_MASTER_RLD = 0x0002;
    static final int ACPI_BITMASK_SLEEP_TYPE = 0x1c00;
    static final int ACPI_BITMASK_SLEEP_ENABLE = 0x2000;
    private static final int SLEEP_TYPE_POSITION = 10;

    /**
     * Kept as written, for Linux's RTC driver enables its event whatever the FADT says and complains if the bit does not
     * read back; only the power button ever happens.
     */
    private static final int ENABLE_BITS = ACPI_BITMASK_TIMER_ENABLE
            | ACPI_BITMASK_GLOBAL_LOCK_ENABLE
            | ACPI_BITMASK_POWER_BUTTON_ENABLE
            | ACPI_BITMASK_SLEEP_BUTTON_ENABLE
            | ACPI_BITMASK_RT_CLOCK_ENABLE;
    /** What is kept as written: GBL_RLS and SLP_EN are write-only, SCI_EN is fixed. */
    private static final int CONTROL_BITS = ACPI_BITMASK_BUS_MASTER_RLD | ACPI_BITMASK_SLEEP_TYPE;

    private final Object lock = new Object();
    private final InterruptLine sci;
    private final MachineEvents events;
    private int status;
    private int enable;
    private int control;
    private boolean level;

    /**
     * Makes the block after reset.
     *
     * @param sci the system control interrupt that the FADT names: level-triggered
     */
    public AcpiPm(InterruptLine sci, MachineEvents events) {
        this.sci = sci;
        this.events = events;
    }

    @Override
    public int readByte(int offset) {
        synchronized (lock) {
            int register = switch (offset) {
                case 0, 1 -> status;
                case 2, 3 -> enable;
                default -> control | ACPI_BITMASK_SCI_ENABLE;
            };
            return (register >> (8 * (offset & 1))) & 0xff;
        }
    }

    @Override
    public void writeByte(int offset, int value) {
        boolean powerOff = false;
        synchronized (lock) {
            int shift = 8 * (offset & 1);
            int bits = value << shift;
            int kept = ~(0xff << shift);
            switch (offset) {
                case 0, 1 -> status &= ~bits;
                case 2, 3 -> enable = ((enable & kept) | bits) & ENABLE_BITS;
                default -> {
                    control = ((control & kept) | bits) & CONTROL_BITS;
                    powerOff = (bits & ACPI_BITMASK_SLEEP_ENABLE) != 0
                            && (bits & ACPI_BITMASK_SLEEP_TYPE) >> SLEEP_TYPE_POSITION == SLP_TYP_S5;
                }
            }
            updateSci();
        }
        if (powerOff) {
            events.powerOff();
        }
    }

    /**
     * Presses the power button. Callable from any thread.
     *
     * @return whether the guest has asked to be told (an ACPI driver listens); the press is remembered either way
     */
    public boolean pressPowerButton() {
        synchronized (lock) {
            status |= ACPI_BITMASK_POWER_BUTTON_STATUS;
            updateSci();
            return level;
        }
    }

    private void updateSci() {
        boolean asserted = (status & enable) != 0;
        if (asserted != level) {
            level = asserted;
            sci.setLevel(asserted);
        }
    }

    @Override
    public State state() {
        synchronized (lock) {
            return new State(status, enable, control);
        }
    }

    @Override
    public void restore(State state) {
        synchronized (lock) {
            status = state.status & ACPI_BITMASK_POWER_BUTTON_STATUS;
            enable = state.enable & ENABLE_BITS;
            control = state.control & CONTROL_BITS;
            level = (status & enable) != 0;
            sci.setLevel(level);
        }
    }

    /**
     * What the guest can see of the block.
     *
     * @param status PM1 status
     * @param enable PM1 enable
     * @param control PM1 control without SCI_EN
     */
    public record State(int status, int enable, int control) {}
}
