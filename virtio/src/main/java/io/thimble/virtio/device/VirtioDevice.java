package io.thimble.virtio.device;

import java.time.Duration;

/**
 * A virtio device behind any transport.
 *
 * <p><b>Life.</b> {@link #activate} when the driver sets DRIVER_OK; then {@link #queueNotified}, {@link #pause} and
 * {@link #resume}; then {@link #reset}, after which it may be activated again; last {@link #close}, from any of these states.
 *
 * <p><b>Threads.</b> Those methods are called on the thread of the device's {@link DeviceLoop} only, one at a time, so
 * that a device needs no lock: what it waits for comes to the same thread. The exceptions are {@link #config}'s reads and
 * {@link #configWritten}, which come on vCPU threads.
 *
 * <p><b>Hostile drivers.</b> A device may let a {@link io.thimble.virtio.queue.VirtqueueException} or a
 * {@link io.thimble.memory.GuestMemoryException} out of these methods: the transport then sets DEVICE_NEEDS_RESET. Any
 * other throwable is a mistake of ours and ends the VM. Nothing may block, nor allocate by a number from the guest.
 */
public interface VirtioDevice {
    /** Returns the device type ({@code VIRTIO_ID_*}, section 5). */
    int deviceId();

    /** Returns what users call this device, for messages; for example {@code disk0}. */
    String name();

    /**
     * Returns the feature bits of this device type that are offered; the transport adds those of the queues and
     * {@code VIRTIO_F_VERSION_1}.
     */
    long features();

    /** Returns how many queues there are, at least 1. */
    int queueCount();

    /** Returns the largest size that a queue may have: a power of 2. */
    int maxQueueSize(int index);

    /** Returns the configuration space. */
    ConfigSpace config();

    /**
     * Takes a write of the driver's to the configuration space; the driver does not see its own write unless the device
     * updates {@link #config}. On a vCPU thread, several at once perhaps; it must not block.
     *
     * @param offset in bytes; the write may lie outside the space
     * @param size 1, 2 or 4
     */
    default void configWritten(int offset, int size, int value) {}

    /** Starts working with the driver. What it has made available before is notified once more. */
    void activate(Activation activation);

    /**
     * Serves a queue: the driver may have made buffers available. May come without reason.
     *
     * @return whether there is more to do that was put off, so that a busy queue cannot starve others: the transport then
     *     calls again, after what else waits for the loop
     */
    boolean queueNotified(int index);

    /**
     * Stops, and forgets the driver. New buffers are left alone at once; what is under way is cancelled or waited for.
     *
     * @param stopped is run on the loop's thread, perhaps before this returns, when guest memory is touched no more
     */
    void reset(Runnable stopped);

    /**
     * Takes no more buffers until {@link #resume}, and ends what is under way.
     *
     * @param quiet is run on the loop's thread, perhaps before this returns, when guest memory is touched no more
     */
    void pause(Runnable quiet);

    /** Goes on after {@link #pause}; the transport then notifies all queues. */
    void resume();

    /**
     * Returns what the device holds beyond its queues and configuration, for a snapshot; while paused.
     *
     * @return an immutable record, which the device's {@code restore} takes
     */
    Record state();

    /**
     * Puts a state back, in a device that was never activated; {@link #activate} follows if the driver had got so far.
     *
     * @throws IllegalArgumentException if it is no state of such a device
     */
    void restore(Record state);

    /**
     * Frees everything; the vCPUs have ended. Again, it does nothing.
     *
     * @param deadline how long it may block for I/O that is under way
     * @return whether all I/O has ended: if not, the caller must keep guest memory mapped
     */
    boolean close(Duration deadline);
}
