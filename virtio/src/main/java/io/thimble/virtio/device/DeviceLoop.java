package io.thimble.virtio.device;

import io.thimble.linux.Fd;

/**
 * The thread on which a device runs: it waits for descriptors and for tasks. Handlers and tasks run one after the other and
 * must not block; what one of them throws ends the VM.
 */
public interface DeviceLoop {
    /**
     * Runs {@code handler} each time {@code fd} is ready; on the loop's thread, or before it has started.
     *
     * @param interest {@code EPOLL*} bits
     * @return the key for {@link #unwatch} and {@link #rewatch}
     */
    long watch(Fd fd, int interest, Runnable handler);

    /** Changes what a descriptor is watched for; on the loop's thread. */
    void rewatch(Fd fd, long key, int interest);

    /** Ends {@link #watch}, before the descriptor is closed; the handler is not run again. On the loop's thread. */
    void unwatch(Fd fd, long key);

    /**
     * Runs {@code task} on the loop's thread, after those posted before and after what is ready by then. From any thread.
     *
     * @return false if the loop is stopping and the task will not run
     */
    boolean post(Runnable task);

    /** Asks {@code poller} while the loop is awake, and before it sleeps; on the loop's thread. */
    void addPoller(Poller poller);

    /** Ends {@link #addPoller}. */
    void removePoller(Poller poller);

    /** Tells whether the calling thread is the loop's. */
    boolean isLoopThread();
}
