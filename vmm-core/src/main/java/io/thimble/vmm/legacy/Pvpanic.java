package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.ByteWideDevice;

/**
 * The port on which a guest's kernel tells that it panicked (QEMU's {@code docs/specs/pvpanic.rst}; bit names as in
 * {@code include/uapi/misc/pvpanic.h}). Stateless; any vCPU thread.
 */
public final class Pvpanic implements ByteWideDevice {
    /** The port, which ACPI is to announce as device QEMU0001. */
    public static final int PORT = 0x505;
    /** Ports, in bytes. */
    public static final int LENGTH = 1;
    /** The guest has panicked. */
    public static final int PVPANIC_PANICKED = 1;
    /** The guest has panicked and its crash kernel takes over: it goes on running. */
    public static final int PVPANIC_CRASH_LOADED = 2;

    private static final int SUPPORTED = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;

    private final MachineEvents events;

    /** Makes the port. */
    public Pvpanic(MachineEvents events) {
        this.events = events;
    }

    /** Returns the events that the port knows. */
    @Override
    public int readByte(int offset) {
        return SUPPORTED;
    }

    @Override
    public void writeByte(int offset, int value) {
        int known = value & SUPPORTED;
        if (known != 0) {
            events.panic(known);
        }
    }
}
