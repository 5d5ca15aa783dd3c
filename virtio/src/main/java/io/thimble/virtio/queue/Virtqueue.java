package io.thimble.virtio.queue;

/**
 * The device's side of one virtqueue.
 *
 * <p>How a device serves a queue without missing a buffer:
 *
 * <pre>{@code
 * do {
 *     queue.disableNotifications();
 *     while (queue.pop(chain)) {
 *         ... queue.addUsed(chain, written) ...
 *     }
 * } while (queue.enableNotifications());
 * if (queue.needsInterrupt()) {
 *     interrupt.signalQueue(index);
 * }
 * }</pre>
 *
 * <p>Not thread-safe: one thread at a time. The driver is the other party, and hostile; what it writes is read once.
 * Nothing here allocates, except to throw.
 */
public interface Virtqueue {
    /** Returns how many descriptors the queue has, a power of 2 for split queues. */
    int size();

    /**
     * Takes the next buffer that the driver has made available.
     *
     * @param chain is filled; its content stays valid until the next pop into it
     * @return whether there was one
     * @throws VirtqueueException if the driver has broken a rule
     */
    boolean pop(DescriptorChain chain);

    /** Gives the buffer popped last back, as if it had not been popped; several are given back in reverse order. */
    void undoPop(DescriptorChain chain);

    /**
     * Returns a buffer to the driver.
     *
     * @param chain as popped
     * @param written how many bytes the device has written to its device-writable part
     */
    default void addUsed(DescriptorChain chain, long written) {
        stageUsed(chain, written);
        publishUsed();
    }

    /**
     * As {@link #addUsed}, but the driver sees it only with the next {@link #publishUsed}: for what it must see at once
     * (section 5.1.6.4: all buffers of one packet), and for less traffic between CPUs.
     */
    void stageUsed(DescriptorChain chain, long written);

    /** Lets the driver see everything that was staged. */
    void publishUsed();

    /** Tells whether a buffer is available, without taking it. */
    boolean hasAvailable();

    /**
     * Tells whether the driver wants an interrupt for what was returned since the last question (sections 2.7.7.2 and 2.8.10); one
     * question covers all {@link #addUsed} before it.
     */
    boolean needsInterrupt();

    /**
     * Asks the driver to notify the device of new buffers.
     *
     * @return whether a buffer has come already, for which no notification need follow
     */
    boolean enableNotifications();

    /** Tells the driver that it need not notify (a hint: sections 2.7.10 and 2.8.10). */
    void disableNotifications();

    /** Returns what is needed to build this queue again; while nothing is staged that was not published. */
    VirtqueueState state();
}
