package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.ByteWideDevice;
import io.thimble.vmm.bus.Stateful;

/**
 * System control port A at 0x92 (IBM PS/2 Technical Reference): bit 0 going from 0 to 1 resets the machine, bit 1 is
 * the A20 gate, which is kept as written and has no effect: the address line is always open. Any vCPU thread.
 */
public final class Port92 implements ByteWideDevice, Stateful<Port92.State> {
    /** The port. */
    public static final int PORT = 0x92;
    /** Ports, in bytes. */
    public static final int LENGTH = 1;

    private static final int FAST_RESET = 0x01;
    private static final int A20 = 0x02;

    private final Object lock = new Object();
    private final MachineEvents events;
    private int value = A20;

    /** Makes the port as firmware leaves it: A20 open. */
    public Port92(MachineEvents events) {
        this.events = events;
    }

    @Override
    public int readByte(int offset) {
        synchronized (lock) {
            return value;
        }
    }

    @Override
    public void writeByte(int offset, int written) {
        boolean reset;
        synchronized (lock) {
            reset = (written & ~value & FAST_RESET) != 0;
            value = written;
        }
        if (reset) {
            events.reset("port 0x92");
        }
    }

    @Override
    public State state() {
        synchronized (lock) {
            return new State(value);
        }
    }

    @Override
    public void restore(State state) {
        synchronized (lock) {
            value = state.value & 0xff;
        }
    }

    /**
     * The register.
     *
     * @param value as last written
     */
    public record State(int value) {}
}
