package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.ByteWideDevice;
import io.thimble.vmm.bus.InterruptLine;
import io.thimble.vmm.bus.Stateful;
import java.util.Arrays;
import java.util.List;

/**
 * The i8042 keyboard controller with an AT keyboard and nothing on its auxiliary port (IBM PS/2 Technical Reference,
 * keyboard and auxiliary device controller; names as in Linux's {@code drivers/input/serio/i8042.h}).
 *
 * <p>Every command that Linux waits for an answer to is answered at once, the search for a mouse included, so that a
 * probe meets no time-out. A guest resets the machine by pulsing output line 0 (command 0xfe) or by writing a 0 to it.
 *
 * <p>Interrupt 1 is asserted while a byte waits and the command byte's bit 0 is set, and falls between two bytes, so
 * that an edge-triggered input sees each.
 *
 * <p>Registers may be used by any vCPU thread, {@link #pressCtrlAltDel} by any thread; all state is under one short
 * lock.
 */
public final class I8042 implements ByteWideDevice, Stateful<I8042.State> {
    /** Port of the data register; the device sees it as offset {@value #DATA_OFFSET}. */
    public static final int I8042_DATA_REG = 0x60;
    /** Port of the command and status register; the device sees it as offset {@value #COMMAND_OFFSET}. */
    public static final int I8042_COMMAND_REG = 0x64;
    /** Offset of the data register. */
    public static final int DATA_OFFSET = 0;
    /** Offset of the command and status register. */
    public static final int COMMAND_OFFSET = 4;
    /** The ISA interrupt of the keyboard. */
    public static final int I8042_KBD_IRQ = 1;

    static final int I8042_STR_OBF = 0x01;
    static final int I8042_STR_MUXERR = 0x04;
    static final int I8042_STR_CMDDAT = 0x08;
    static final int I8042_STR_KEYLOCK = 0x10;

    static final int I8042_CTR_KBDINT = 0x01;
    static final int I8042_CTR_SYSFLAG = 0x04;
    static final int I8042_CTR_KBDDIS = 0x10;
    static final int I8042_CTR_AUXDIS = 0x20;
    static final int I8042_CTR_XLATE = 0x40;

    static final int I8042_CMD_CTL_RCTR = 0x20;
    static final int I8042_CMD_CTL_WCTR = 0x60;
    static final int I8042_CMD_CTL_TEST = 0xaa;
    static final int I8042_RET_CTL_TEST = 0x55;
    static final int I8042_CMD_KBD_DISABLE = 0xad;
    static final int I8042_CMD_KBD_ENABLE = 0xae;
    static final int I8042_CMD_KBD_TEST = 0xab;
    static final int I8042_CMD_AUX_DISABLE = 0xa7;
    static final int I8042_CMD_AUX_ENABLE = 0xa8;
    static final int I8042_CMD_AUX_TEST = 0xa9;
    static final int I8042_CMD_KBD_LOOP = 0xd2;
    static final int I8042_CMD_AUX_LOOP = 0xd3;
    static final int I8042_CMD_AUX_SEND = 0xd4;
    private static final int READ_INPUT_PORT = 0xc0;
    private static final int READ_OUTPUT_PORT = 0xd0;
    private static final int WRITE_OUTPUT_PORT = 0xd1;
    private static final int PULSE_OUTPUT_PORT = 0xf0;

    /** What the test of a port answers when its clock line is stuck low: there is nothing on it. */
    private static final int RET_AUX_ABSENT = 0x01;
    /** Input port bit 7: the keyboard is not inhibited. */
    private static final int INPUT_PORT = 0x80;
    /** Output port bit 0: the CPU's reset line, active low. */
    private static final int OUTPUT_RESET = 0x01;

    private static final int RAM_SIZE = 0x20;
    private static final int NONE = -1;

    private final Object lock = new Object();
    private final InterruptLine interrupt;
    private final MachineEvents events;
    private final AtKeyboard keyboard = new AtKeyboard();
    private final int[] ram = new int[RAM_SIZE];
    private int outputPort = 0xcf;
    private int commandPending = NONE;
    private int controllerReply = NONE;
    private int lastData;
    private boolean lastWasCommand;
    private boolean level;

    /**
     * Makes a controller as firmware would leave it: self-tested, keyboard enabled, translating, interrupt off.
     *
     * @param interrupt the line of {@link #I8042_KBD_IRQ}
     */
    public I8042(InterruptLine interrupt, MachineEvents events) {
        this.interrupt = interrupt;
        this.events = events;
        ram[0] = I8042_CTR_SYSFLAG | I8042_CTR_AUXDIS | I8042_CTR_XLATE;
    }

    @Override
    public int readByte(int offset) {
        synchronized (lock) {
            return switch (offset) {
                case DATA_OFFSET -> readData();
                case COMMAND_OFFSET -> status();
                default -> 0xff;
            };
        }
    }

    @Override
    public void writeByte(int offset, int value) {
        boolean reset = false;
        synchronized (lock) {
            if (offset == COMMAND_OFFSET) {
                lastWasCommand = true;
                reset = command(value);
            } else if (offset == DATA_OFFSET) {
                lastWasCommand = false;
                reset = data(value);
            }
            updateInterrupt();
        }
        if (reset) {
            events.reset("i8042");
        }
    }

    /**
     * Presses and releases Ctrl, Alt and Del, which Linux answers with an orderly reboot (or what
     * {@code kernel.ctrl-alt-del} says). Callable from any thread.
     *
     * @return {@code false} if nobody listens: the guest's driver has not enabled the keyboard, or left earlier keys
     *     unread
     */
    public boolean pressCtrlAltDel() {
        synchronized (lock) {
            boolean pressed = keyboard.pressCtrlAltDel((ram[0] & I8042_CTR_XLATE) != 0);
            updateInterrupt();
            return pressed;
        }
    }

    private boolean keyboardReady() {
        return (ram[0] & I8042_CTR_KBDDIS) == 0 && keyboard.hasByte();
    }

    private boolean outputBufferFull() {
        return controllerReply != NONE || keyboardReady();
    }

    private int status() {
        return (outputBufferFull() ? I8042_STR_OBF : 0)
                | ((ram[0] & I8042_CTR_SYSFLAG) != 0 ? I8042_STR_MUXERR : 0)
                | (lastWasCommand ? I8042_STR_CMDDAT : 0)
                | I8042_STR_KEYLOCK;
    }

    private int readData() {
        if (controllerReply != NONE) {
            lastData = controllerReply;
            controllerReply = NONE;
        } else if (keyboardReady()) {
            lastData = keyboard.takeByte();
        } else {
            return lastData;
        }
        drive(false);
        updateInterrupt();
        return lastData;
    }

    private boolean interruptAsserted() {
        return (ram[0] & I8042_CTR_KBDINT) != 0 && outputBufferFull();
    }

    private void updateInterrupt() {
        drive(interruptAsserted());
    }

    private void drive(boolean asserted) {
        if (asserted != level) {
            level = asserted;
            interrupt.setLevel(asserted);
        }
    }

    /** Runs a controller command, or notes it until its parameter comes. Returns whether it resets the machine. */
    private boolean command(int value) {
        commandPending = NONE;
        if (value >= PULSE_OUTPUT_PORT) {
            return (value & OUTPUT_RESET) == 0;
        }
        if (value >= I8042_CMD_CTL_RCTR && value < I8042_CMD_CTL_RCTR + RAM_SIZE) {
            controllerReply = ram[value - I8042_CMD_CTL_RCTR];
        } else if (value >= I8042_CMD_CTL_WCTR && value < I8042_CMD_CTL_WCTR + RAM_SIZE) {
            commandPending = value;
        } else {
            switch (value) {
                case I8042_CMD_CTL_TEST -> {
                    ram[0] |= I8042_CTR_SYSFLAG;
                    controllerReply = I8042_RET_CTL_TEST;
                }
                case I8042_CMD_KBD_TEST -> controllerReply = 0;
                case I8042_CMD_AUX_TEST -> controllerReply = RET_AUX_ABSENT;
                case I8042_CMD_KBD_DISABLE -> ram[0] |= I8042_CTR_KBDDIS;
                case I8042_CMD_KBD_ENABLE -> ram[0] &= ~I8042_CTR_KBDDIS;
                case READ_INPUT_PORT -> controllerReply = INPUT_PORT;
                case READ_OUTPUT_PORT -> controllerReply = outputPort;
                case WRITE_OUTPUT_PORT, I8042_CMD_KBD_LOOP, I8042_CMD_AUX_LOOP, I8042_CMD_AUX_SEND ->
                    commandPending = value;
                case I8042_CMD_AUX_ENABLE, I8042_CMD_AUX_DISABLE -> {
                    // There is no auxiliary device: its disable bit stays set.
                }
                default -> {
                    // Unknown commands are taken and have no effect, as on the chip.
                }
            }
        }
        return false;
    }

    /** Takes a command's parameter or a byte for the keyboard. Returns whether it resets the machine. */
    private boolean data(int value) {
        int command = commandPending;
        commandPending = NONE;
        switch (command) {
            case NONE -> {
                ram[0] &= ~I8042_CTR_KBDDIS;
                keyboard.command(value, (ram[0] & I8042_CTR_XLATE) != 0);
            }
            case I8042_CMD_CTL_WCTR -> ram[0] = value | I8042_CTR_AUXDIS;
            case WRITE_OUTPUT_PORT -> {
                outputPort = value | OUTPUT_RESET;
                return (value & OUTPUT_RESET) == 0;
            }
            // The auxiliary loop answers as keyboard data, without AUXDATA: "no such port", and no time-out.
            case I8042_CMD_KBD_LOOP, I8042_CMD_AUX_LOOP -> controllerReply = value;
            case I8042_CMD_AUX_SEND -> {
                // Lost: nothing is connected.
            }
            default -> ram[command - I8042_CMD_CTL_WCTR] = value;
        }
        return false;
    }

    @Override
    public State state() {
        synchronized (lock) {
            return new State(
                    Arrays.stream(ram).boxed().toList(),
                    outputPort,
                    commandPending,
                    controllerReply,
                    lastData,
                    lastWasCommand,
                    keyboard.state());
        }
    }

    @Override
    public void restore(State state) {
        if (state.ram.size() != RAM_SIZE) {
            throw new IllegalArgumentException("i8042: " + state.ram.size() + " bytes of RAM, not " + RAM_SIZE);
        }
        if (state.commandPending != NONE && !takesParameter(state.commandPending)) {
            throw new IllegalArgumentException("i8042: command " + state.commandPending + " takes no parameter");
        }
        synchronized (lock) {
            for (int i = 0; i < RAM_SIZE; i++) {
                ram[i] = state.ram.get(i) & 0xff;
            }
            outputPort = state.outputPort & 0xff;
            commandPending = state.commandPending;
            controllerReply = state.controllerReply == NONE ? NONE : state.controllerReply & 0xff;
            lastData = state.lastData & 0xff;
            lastWasCommand = state.lastWasCommand;
            keyboard.restore(state.keyboard);
            level = interruptAsserted();
            interrupt.setLevel(level);
        }
    }

    private static boolean takesParameter(int command) {
        return (command >= I8042_CMD_CTL_WCTR && command < I8042_CMD_CTL_WCTR + RAM_SIZE)
                || command == WRITE_OUTPUT_PORT
                || command == I8042_CMD_KBD_LOOP
                || command == I8042_CMD_AUX_LOOP
                || command == I8042_CMD_AUX_SEND;
    }

    /**
     * What the guest can see of the controller.
     *
     * @param ram the controller's 32 bytes; the first is the command byte
     * @param outputPort the output port's latch
     * @param commandPending the command that waits for its parameter, or -1
     * @param controllerReply the controller's unread answer, or -1
     * @param lastData what the data register read last
     * @param lastWasCommand whether the last write went to the command register
     * @param keyboard the keyboard
     */
    public record State(
            List<Integer> ram,
            int outputPort,
            int commandPending,
            int controllerReply,
            int lastData,
            boolean lastWasCommand,
            AtKeyboard.State keyboard) {
        /** Copies the list. */
        public State {
            ram = List.copyOf(ram);
        }
    }
}
