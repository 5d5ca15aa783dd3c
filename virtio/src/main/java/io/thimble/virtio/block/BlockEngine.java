package io.thimble.virtio.block;

import io.thimble.linux.Fd;
import io.thimble.virtio.queue.IoVectors;
import java.time.Duration;

/**
 * Carries out I/O on one image without blocking its caller. Each operation has an id below {@link #capacity}, which is free
 * again when its completion has been handed over.
 *
 * <p>One thread uses an engine. What an operation points to stays where it is until its completion.
 */
interface BlockEngine {
    /** Takes completions; may queue operations. */
    @FunctionalInterface
    interface Completions {
        /** Called with what the system call returned: zero or more, or {@code -errno}. */
        void completed(int id, int result);
    }

    /** What a user calls it. */
    String name();

    /** Returns the most operations that are queued and under way at once. */
    int capacity();

    /** Returns what is readable for {@code EPOLLET} when there are completions; it need not be read. */
    Fd event();

    /** Tells whether there are completions; cheap enough to be asked all the time. */
    boolean hasCompletions();

    /**
     * Says that {@link #event} is waited for, until completions are taken the next time: meanwhile it may stay silent.
     *
     * @return whether there are completions already
     */
    boolean wantEvent();

    /** Queues a read into the vectors. */
    void read(int id, IoVectors vectors, long offset);

    /**
     * Queues a write from the vectors.
     *
     * @param durable whether it completes only when the data is on stable storage
     */
    void write(int id, IoVectors vectors, long offset, boolean durable);

    /** Queues the wait until all that was written is on stable storage. */
    void sync(int id);

    /** Queues a fallocate(2). */
    void allocate(int id, int mode, long offset, long length);

    /** Starts all that is queued. */
    void submit();

    /** Hands over what has completed, without waiting; returns how many. */
    int complete(Completions completions);

    /** Returns how many operations are queued or under way. */
    int inFlight();

    /**
     * Frees the engine; what is under way is cancelled, or waited for, without handing it over.
     *
     * @return false if something had not ended at the deadline: its buffers must stay mapped
     */
    boolean close(Duration deadline);
}
