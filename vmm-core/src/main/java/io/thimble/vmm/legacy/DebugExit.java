package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.BusDevice;

/**
 * A port that ends the machine with a code, for tests and small programs without ACPI: what is written at offset 0, of
 * any width, is the code. Reads give 0. Stateless; any vCPU thread.
 */
public final class DebugExit implements BusDevice {
    /** The port, the one that QEMU's users of isa-debug-exit commonly choose. */
    public static final int PORT = 0xf4;
    /** Ports, in bytes. */
    public static final int LENGTH = 4;

    private final MachineEvents events;

    /** Makes the port. */
    public DebugExit(MachineEvents events) {
        this.events = events;
    }

    @Override
    public long read(long offset, int size) {
        return 0;
    }

    @Override
    public void write(long offset, int size, long value) {
        if (offset == 0) {
            events.debugExit((int) value);
        }
    }
}
