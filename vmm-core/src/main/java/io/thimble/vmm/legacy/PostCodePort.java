package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.ByteWideDevice;

/**
 * Port 0x80: takes the power-on self-test codes of firmware, and the writes that Linux makes there to let a
 * microsecond pass ({@code io_delay}). It keeps the last one, as the card with the two digits does. Any vCPU thread.
 */
public final class PostCodePort implements ByteWideDevice {
    /** The port. */
    public static final int PORT = 0x80;
    /** Ports, in bytes. */
    public static final int LENGTH = 1;

    private volatile int last;

    /** Makes the port; the code is 0. */
    public PostCodePort() {}

    @Override
    public int readByte(int offset) {
        return last;
    }

    @Override
    public void writeByte(int offset, int value) {
        last = value;
    }
}
