package io.thimble.virtio.net;

import io.thimble.linux.Mman;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Frames that wait for one reader: a ring of host memory, each frame whole and behind its length. What has no room is refused;
 * that bounds what waits. A ring that runs empty begins at its start again, so that little traffic touches little memory.
 *
 * <p>Any thread may write, one at a time ({@link #lock}); one thread reads, without the lock.
 */
final class FrameRing implements AutoCloseable {
    /** How many bytes may wait: some sixty of the largest frames. */
    static final int SIZE = 4 << 20;

    private static final int LENGTH_BYTES = 8; // keeps frames aligned
    private static final int WRAP = -1;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory = Mman.anonymous(arena, SIZE);
    private final ReentrantLock lock = new ReentrantLock();
    private volatile long head; // written by the reader
    private volatile long tail; // written under the lock
    private boolean closed; // guarded by the lock

    /** Returns the lock for {@link #reserve} and {@link #commit}. */
    ReentrantLock lock() {
        return lock;
    }

    private static long space(long length) {
        return LENGTH_BYTES + ((length + LENGTH_BYTES - 1) & -LENGTH_BYTES);
    }

    /**
     * Finds room for a frame; under the lock.
     *
     * @return where its bytes go, or -1 if there is no room
     */
    long reserve(long length) {
        if (closed) {
            return -1;
        }
        long at = tail;
        long offset = at % SIZE;
        long wanted = space(length);
        long toEnd = SIZE - offset;
        long total = wanted <= toEnd ? wanted : toEnd + wanted;
        if (at + total - head > SIZE) {
            return -1;
        }
        return wanted <= toEnd ? offset + LENGTH_BYTES : LENGTH_BYTES;
    }

    /** Returns the memory into which frames are written. */
    MemorySegment memory() {
        return memory;
    }

    /**
     * Lets the reader see the frame at {@code at}, which {@link #reserve} has returned; under the lock.
     *
     * @return whether the ring was empty before
     */
    boolean commit(long at, long length) {
        long before = tail;
        long next = before;
        long offset = before % SIZE;
        if (at - LENGTH_BYTES != offset) {
            memory.set(ValueLayout.JAVA_INT, offset, WRAP);
            next += SIZE - offset;
        }
        memory.set(ValueLayout.JAVA_INT, at - LENGTH_BYTES, (int) length);
        tail = next + space(length);
        return before == head;
    }

    /** Returns where the next frame's bytes are, or -1 if there is none. The reader's. */
    long peek() {
        long at = head;
        if (at == tail) {
            return -1;
        }
        long offset = at % SIZE;
        if (memory.get(ValueLayout.JAVA_INT, offset) == WRAP) {
            at += SIZE - offset;
            head = at;
            offset = 0;
        }
        return offset + LENGTH_BYTES;
    }

    /** Returns the length of the frame at {@code at}. The reader's. */
    int length(long at) {
        return memory.get(ValueLayout.JAVA_INT, at - LENGTH_BYTES);
    }

    /** Frees the place of the frame that {@link #peek} has shown. The reader's. */
    void remove(long at) {
        long next = head + space(length(at));
        head = next;
        if (next == tail) {
            lock.lock();
            try {
                if (next == tail) {
                    tail = 0;
                    head = 0;
                }
            } finally {
                lock.unlock();
            }
        }
    }

    /** Frees the memory; the reader reads no more. */
    @Override
    public void close() {
        lock.lock();
        try {
            if (!closed) {
                closed = true;
                arena.close();
            }
        } finally {
            lock.unlock();
        }
    }
}
