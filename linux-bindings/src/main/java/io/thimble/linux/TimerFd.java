package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.Syscalls;
import io.thimble.linux.abi.TimeConstants;
import io.thimble.linux.abi.TimerfdConstants;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;

/**
 * A timer on the monotonic clock that epoll can wait for (timerfd_create(2)), non-blocking.
 *
 * <p>One thread at a time uses it; {@link #close} comes after the last use.
 */
public final class TimerFd implements AutoCloseable {
    /** struct itimerspec { struct timespec it_interval, it_value; }, each two longs: seconds, nanoseconds. */
    private static final int ITIMERSPEC_SIZE = 4 * Long.BYTES;

    private final Fd fd;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment buffer = arena.allocate(ITIMERSPEC_SIZE, Long.BYTES);

    /**
     * Creates a disarmed timer.
     *
     * @throws LinuxException if no descriptor is left
     */
    public TimerFd(String name) {
        long result = Syscall.call(
                Syscalls.SYS_timerfd_create,
                TimeConstants.CLOCK_MONOTONIC,
                TimerfdConstants.TFD_CLOEXEC | TimerfdConstants.TFD_NONBLOCK);
        if (result < 0) {
            arena.close();
        }
        fd = new Fd((int) LinuxException.check("timerfd for " + name, result), name);
    }

    /** Returns the descriptor, for epoll; this object keeps owning it. */
    public Fd fd() {
        return fd;
    }

    /**
     * Arms the timer.
     *
     * @param delay until the first expiration; zero fires at once
     * @param period between later expirations; zero for none
     */
    public void arm(Duration delay, Duration period) {
        Duration first = delay.isZero() ? Duration.ofNanos(1) : delay;
        set(first, period);
    }

    /** Stops the timer; an expiration that was not consumed is forgotten. */
    public void disarm() {
        set(Duration.ZERO, Duration.ZERO);
    }

    /** Returns how often the timer has expired since the last call. */
    public long consume() {
        long result = Syscall.call(Syscalls.SYS_read, fd.number(), buffer.address(), Long.BYTES);
        if (result == -Errnos.EAGAIN) {
            return 0;
        }
        LinuxException.check("read from " + fd, result);
        return buffer.get(ValueLayout.JAVA_LONG, 0);
    }

    private void set(Duration value, Duration interval) {
        buffer.setAtIndex(ValueLayout.JAVA_LONG, 0, interval.getSeconds());
        buffer.setAtIndex(ValueLayout.JAVA_LONG, 1, interval.getNano());
        buffer.setAtIndex(ValueLayout.JAVA_LONG, 2, value.getSeconds());
        buffer.setAtIndex(ValueLayout.JAVA_LONG, 3, value.getNano());
        LinuxException.check(
                "timerfd_settime of " + fd,
                Syscall.call(Syscalls.SYS_timerfd_settime, fd.number(), 0, buffer.address(), 0));
    }

    @Override
    public void close() {
        if (fd.closeIfOpen()) {
            arena.close();
        }
    }
}
