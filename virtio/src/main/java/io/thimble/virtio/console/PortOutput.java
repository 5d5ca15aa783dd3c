package io.thimble.virtio.console;

import java.time.Duration;

/** Where a port sends what the guest writes to it. */
public interface PortOutput {
    /**
     * Takes bytes; it must not block. From the device loop's thread and, for emergency writes, from vCPUs' threads.
     *
     * @return how many of them it has taken: if fewer than {@code length}, the device offers the others after the callback of
     *     {@link #onRoom}, and the guest waits meanwhile
     */
    int offer(byte[] bytes, int offset, int length);

    /**
     * Names what to run once there is room after an {@link #offer} was taken in part: once for each, on any thread, with no
     * lock of the output held. The port calls this once, before its first offer. An output that takes everything need not
     * remember it.
     */
    default void onRoom(Runnable callback) {}

    /**
     * Waits until there is room; when the VM has ended, for what the guest had written before.
     *
     * @return false if there is none within {@code deadline}
     */
    default boolean awaitRoom(Duration deadline) {
        return false;
    }

    /** Returns an output that takes everything and keeps nothing. */
    static PortOutput none() {
        return (_, _, length) -> length;
    }
}
