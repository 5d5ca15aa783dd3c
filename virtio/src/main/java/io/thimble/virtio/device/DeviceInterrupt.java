package io.thimble.virtio.device;

/** How a device reaches its driver. From any thread; without effect once the device was reset. */
public interface DeviceInterrupt {
    /**
     * Tells the driver that buffers were returned; after {@link io.thimble.virtio.queue.Virtqueue#needsInterrupt} said so.
     *
     * @param queue the queue's index
     */
    void signalQueue(int queue);

    /** Tells the driver that the configuration space has changed (section 2.5). */
    void signalConfig();
}
