package io.thimble.virtio.device;

import io.thimble.memory.GuestMemoryException;
import io.thimble.virtio.queue.VirtqueueException;

/** Where a device reports a driver that breaks the rules. On the loop's thread. */
@FunctionalInterface
public interface DriverFaults {
    /**
     * Sets DEVICE_NEEDS_RESET (section 2.1.2): no queue is notified until the driver resets the device.
     *
     * @param reason the rule that was broken
     */
    void needsReset(String reason);

    /**
     * Wraps a handler that uses queues or guest memory, and which the transport does not call: what it throws because of
     * the driver is reported here.
     */
    default Runnable guarded(Runnable handler) {
        return () -> {
            try {
                handler.run();
            } catch (VirtqueueException | GuestMemoryException e) {
                needsReset(String.valueOf(e.getMessage()));
            }
        };
    }
}
