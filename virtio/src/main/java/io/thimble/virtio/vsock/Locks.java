package io.thimble.virtio.vsock;

import java.io.InterruptedIOException;
import java.util.concurrent.locks.ReentrantLock;

/** Taking a lock as part of I/O. */
final class Locks {
    private Locks() {}

    /**
     * Takes the lock.
     *
     * @throws InterruptedIOException if the thread is interrupted; it stays so
     */
    static void lock(ReentrantLock lock) throws InterruptedIOException {
        try {
            lock.lockInterruptibly();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        }
    }
}
