package io.thimble.virtio.net;

import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.device.RateLimits;
import io.thimble.virtio.device.Throttle;

/**
 * Holds back the frames of one direction. {@link #limits} and {@link #setLimits} are for any thread; everything else is the loop's.
 */
final class FrameLimit {
    private final Throttle throttle;
    private final Runnable due;
    private boolean waiting;

    /**
     * Makes one.
     *
     * @param lookAgain is run when frames that were held back may go
     */
    FrameLimit(String name, RateLimits limits, Runnable lookAgain) {
        throttle = new Throttle(name, limits);
        due = () -> {
            waiting = false;
            lookAgain.run();
        };
    }

    RateLimits limits() {
        return throttle.limits();
    }

    void setLimits(RateLimits limits) {
        throttle.setLimits(limits);
    }

    /** Tells whether a frame may go now; if not, it is looked again when one may. */
    boolean allows(DeviceLoop loop) {
        if (waiting) {
            return false;
        }
        long delay = throttle.delay();
        if (delay == 0) {
            return true;
        }
        waiting = true;
        throttle.later(loop, delay, due);
        return false;
    }

    /** Counts a frame that went. */
    void passed(long bytes) {
        throttle.take(bytes);
    }

    /** Forgets that something waits. */
    void cancel() {
        waiting = false;
        throttle.cancel();
    }

    void close() {
        cancel();
        throttle.close();
    }
}
