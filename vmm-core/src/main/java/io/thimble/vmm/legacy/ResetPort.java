package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.ByteWideDevice;
import io.thimble.vmm.bus.Stateful;

/**
 * The reset control register at port 0xcf9 (Intel ICH9 datasheet, 13.7.5), which the FADT names as reset register and
 * Linux uses with {@code reboot=p} and {@code reboot=a}. RST_CPU going from 0 to 1 resets the machine, whatever kind
 * of reset SYS_RST chooses. Any vCPU thread.
 */
public final class ResetPort implements ByteWideDevice, Stateful<ResetPort.State> {
    /** The port. */
    public static final int PORT = 0xcf9;
    /** Ports, in bytes: 0xcf8 and 0xcfc next to it are PCI's and take wider accesses only. */
    public static final int LENGTH = 1;
    /** What the FADT gives as RESET_VALUE: SYS_RST and RST_CPU. */
    public static final int RESET_VALUE = 0x06;

    private static final int SYS_RST = 0x02;
    private static final int RST_CPU = 0x04;
    private static final int FULL_RST = 0x08;

    private final Object lock = new Object();
    private final MachineEvents events;
    private int value;

    /** Makes the port after reset. */
    public ResetPort(MachineEvents events) {
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
            reset = (written & ~value & RST_CPU) != 0;
            value = written & (SYS_RST | RST_CPU | FULL_RST);
        }
        if (reset) {
            events.reset("port 0xcf9");
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
            value = state.value & (SYS_RST | RST_CPU | FULL_RST);
        }
    }

    /**
     * The register.
     *
     * @param value SYS_RST, RST_CPU and FULL_RST as last written
     */
    public record State(int value) {}
}
