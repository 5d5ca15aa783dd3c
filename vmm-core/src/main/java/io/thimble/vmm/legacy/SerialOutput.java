package io.thimble.vmm.legacy;

import io.thimble.virtio.console.PortOutput;

/** Where a UART sends its characters, or any console: which is faster, many at once. */
public interface SerialOutput extends PortOutput {
    /**
     * Takes one character. Called by one thread at a time, mostly a vCPU's, without any lock of the UART: it must not
     * block.
     *
     * @return {@code false} if there is no room: the UART keeps the character and offers it again after the callback
     *     of {@link #onRoom}
     */
    boolean offer(byte value);

    @Override
    default int offer(byte[] bytes, int offset, int length) {
        int taken = 0;
        while (taken < length && offer(bytes[offset + taken])) {
            taken++;
        }
        return taken;
    }

    /**
     * Names what to run once there is room after an {@link #offer} was refused: once for each refusal, on any thread,
     * with no lock of the output held. Whoever offers calls this method once, before the first offer; all callbacks are
     * run. An output that never refuses need not remember them.
     */
    @Override
    default void onRoom(Runnable callback) {}

    /**
     * Returns an output that hands each character to a callback, on the vCPU thread, in order and never two at once.
     * The callback may call {@link Serial16550#receive} of the same UART.
     */
    static SerialOutput direct(ByteCallback callback) {
        return value -> {
            callback.accept(value);
            return true;
        };
    }

    /** Takes a character on the vCPU thread; must not block and must not throw. */
    @FunctionalInterface
    interface ByteCallback {
        /** Takes one character. */
        void accept(byte value);
    }
}
