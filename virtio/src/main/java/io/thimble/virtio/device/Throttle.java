package io.thimble.virtio.device;

import io.thimble.linux.TimerFd;
import io.thimble.linux.abi.EventpollConstants;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Holds requests or frames of a device back to keep {@link RateLimits}. {@link #limits} and {@link #setLimits} are for any
 * thread; everything else is the loop's.
 */
public final class Throttle {
    private final String name;
    private volatile RateLimits limits;
    private RateLimits applied = RateLimits.NONE;
    private TokenBucket bytes = new TokenBucket(0, 0, 0);
    private TokenBucket operations = new TokenBucket(0, 0, 0);
    private @Nullable TimerFd timer;
    private @Nullable DeviceLoop watching;
    private long watchKey;
    private Runnable task = () -> {};

    /**
     * Makes one.
     *
     * @param name of the device, for messages
     */
    public Throttle(String name, RateLimits limits) {
        this.name = name;
        this.limits = limits;
    }

    /** Returns the limits in effect. */
    public RateLimits limits() {
        return limits;
    }

    /** Takes effect with the next request. */
    public void setLimits(RateLimits changed) {
        limits = changed;
    }

    /** Tells how many nanoseconds the next request has to wait; 0 if it may go. */
    public long delay() {
        RateLimits wanted = limits;
        if (!wanted.equals(applied)) {
            long now = System.nanoTime();
            bytes = new TokenBucket(wanted.bytesPerSecond(), wanted.bytesBurst(), now);
            operations = new TokenBucket(wanted.operationsPerSecond(), wanted.operationsBurst(), now);
            applied = wanted;
        }
        if (!applied.isLimited()) {
            return 0;
        }
        long now = System.nanoTime();
        return Math.max(bytes.delay(now), operations.delay(now));
    }

    /** Counts a request that goes. */
    public void take(long byteCount) {
        if (applied.isLimited()) {
            bytes.take(byteCount);
            operations.take(1);
        }
    }

    /** Runs {@code whenDue} on the loop after so many nanoseconds, once; a later call replaces an earlier one. */
    public void later(DeviceLoop loop, long nanos, Runnable whenDue) {
        task = whenDue;
        TimerFd armed = timer;
        if (armed == null) {
            armed = new TimerFd(name + " rate limit");
            timer = armed;
        }
        if (watching == null) {
            TimerFd fired = armed;
            watchKey = loop.watch(armed.fd(), EventpollConstants.EPOLLIN, () -> {
                fired.consume();
                task.run();
            });
            watching = loop;
        }
        armed.arm(Duration.ofNanos(nanos), Duration.ZERO);
    }

    /** Forgets a task of {@link #later}. */
    public void cancel() {
        TimerFd armed = timer;
        if (watching != null && armed != null) {
            watching.unwatch(armed.fd(), watchKey);
            watching = null;
            armed.disarm();
        }
    }

    /** Frees the timer. */
    public void close() {
        cancel();
        if (timer != null) {
            timer.close();
        }
    }
}
