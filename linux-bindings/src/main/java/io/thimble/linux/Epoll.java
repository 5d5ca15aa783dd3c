package io.thimble.linux;

import io.thimble.linux.abi.EpollEventLayout;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;

/**
 * Waits for many descriptors at once (epoll(7)).
 *
 * <p>{@link #add}, {@link #modify} and {@link #remove} may be called from any thread; {@link #await} and the readers
 * of its result from one. {@link #close} comes after the last use.
 */
public final class Epoll implements AutoCloseable {
    private static final Duration LONGEST = Duration.ofMillis(Integer.MAX_VALUE);

    private final Fd fd;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment events;
    private final int capacity;

    /**
     * Creates an empty set.
     *
     * @param capacity the most events one {@link #await} returns, at least 1
     * @throws LinuxException if no descriptor is left
     */
    public Epoll(String name, int capacity) {
        if (capacity < 1) {
            throw new IllegalArgumentException("capacity: " + capacity);
        }
        this.capacity = capacity;
        this.events = arena.allocate(EpollEventLayout.SIZEOF * capacity, Long.BYTES);
        long result = Syscall.call(Syscalls.SYS_epoll_create1, EventpollConstants.EPOLL_CLOEXEC);
        if (result < 0) {
            arena.close();
        }
        fd = new Fd((int) LinuxException.check("epoll for " + name, result), name);
    }

    /** Watches {@code watched} for {@code EPOLL*} events; {@code data} comes back with each of them. */
    public void add(Fd watched, int interest, long data) {
        control(EventpollConstants.EPOLL_CTL_ADD, watched, interest, data);
    }

    /** Changes what {@code watched} is watched for. */
    public void modify(Fd watched, int interest, long data) {
        control(EventpollConstants.EPOLL_CTL_MOD, watched, interest, data);
    }

    /** Stops watching {@code watched}. */
    public void remove(Fd watched) {
        control(EventpollConstants.EPOLL_CTL_DEL, watched, 0, 0);
    }

    private void control(int operation, Fd watched, int interest, long data) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment event = call.allocate(EpollEventLayout.SIZEOF, Long.BYTES);
            event.set(ValueLayout.JAVA_INT_UNALIGNED, EpollEventLayout.OFFSETOF_EVENTS, interest);
            event.set(ValueLayout.JAVA_LONG_UNALIGNED, EpollEventLayout.OFFSETOF_DATA, data);
            LinuxException.check(
                    "epoll_ctl of " + watched,
                    Syscall.call(Syscalls.SYS_epoll_ctl, fd.number(), operation, watched.number(), event.address()));
        }
    }

    /** Waits without a deadline; returns how many events there are, 0 after a signal. */
    public int await() {
        return await(-1);
    }

    /** Does not wait; returns how many events there are. */
    public int poll() {
        return await(0);
    }

    /**
     * Waits at most {@code timeout}, in whole milliseconds rounded up; returns how many events there are, 0 after a
     * signal. A timeout of zero or less does not wait; one of more than 24 days waits 24 days.
     */
    public int await(Duration timeout) {
        if (timeout.compareTo(LONGEST) >= 0) {
            return await(Integer.MAX_VALUE);
        }
        // The kernel takes a negative number for "no deadline".
        return timeout.isNegative()
                ? await(0)
                : await((int) timeout.plusNanos(999_999).toMillis());
    }

    private int await(int milliseconds) {
        long result =
                Syscall.call(Syscalls.SYS_epoll_pwait, fd.number(), events.address(), capacity, milliseconds, 0, 0);
        return result == -Errnos.EINTR ? 0 : (int) LinuxException.check("epoll_wait of " + fd, result);
    }

    /** Returns the {@code data} of event {@code index} of the last {@link #await}. */
    public long data(int index) {
        return events.get(
                ValueLayout.JAVA_LONG_UNALIGNED, index * EpollEventLayout.SIZEOF + EpollEventLayout.OFFSETOF_DATA);
    }

    /** Returns the {@code EPOLL*} bits of event {@code index} of the last {@link #await}. */
    public int events(int index) {
        return events.get(
                ValueLayout.JAVA_INT_UNALIGNED, index * EpollEventLayout.SIZEOF + EpollEventLayout.OFFSETOF_EVENTS);
    }

    @Override
    public void close() {
        if (fd.closeIfOpen()) {
            arena.close();
        }
    }
}
