package io.thimble.virtio.vsock;

import java.io.InterruptedIOException;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Where one thread, virtual or not, waits for what the loop does; the loop never waits for it.
 *
 * <p>One thread at a time waits. Whoever makes the condition true does that by a volatile write, then calls {@link #open}:
 * the waiting thread announces itself, by a volatile write, before it looks at the condition, so that one of the two sees the
 * other.
 */
final class Gate {
    private volatile @Nullable Thread waiting;

    /** Lets the waiting thread look at its condition again. */
    void open() {
        Thread thread = waiting;
        if (thread != null) {
            LockSupport.unpark(thread);
        }
    }

    /**
     * Waits until {@code condition}.
     *
     * @param timeout at most so long, zero for ever
     * @throws SocketTimeoutException if the condition did not become true
     * @throws InterruptedIOException if the thread is interrupted; it stays so
     */
    void await(BooleanSupplier condition, Duration timeout) throws InterruptedIOException {
        long deadline = timeout.isZero() ? 0 : System.nanoTime() + nanos(timeout);
        waiting = Thread.currentThread();
        try {
            while (!condition.getAsBoolean()) {
                if (Thread.currentThread().isInterrupted()) {
                    throw new InterruptedIOException("interrupted");
                }
                if (timeout.isZero()) {
                    LockSupport.park(this);
                } else {
                    long left = deadline - System.nanoTime();
                    if (left <= 0) {
                        throw new SocketTimeoutException("nothing within " + timeout.toMillis() + " ms");
                    }
                    LockSupport.parkNanos(this, left);
                }
            }
        } finally {
            waiting = null;
        }
    }

    private static long nanos(Duration duration) {
        try {
            return duration.toNanos();
        } catch (ArithmeticException e) {
            return Long.MAX_VALUE / 2;
        }
    }
}
