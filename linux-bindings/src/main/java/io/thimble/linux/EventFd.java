package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.EventfdConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A counter that threads and the kernel signal each other with (eventfd(2)), non-blocking.
 *
 * <p>{@link #signal} may be called from any thread, {@link #consume} from one at a time. {@link #close} comes after
 * the last use.
 */
public final class EventFd implements AutoCloseable {
    private final Fd fd;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_LONG, 1);
    private final MemorySegment count = arena.allocate(ValueLayout.JAVA_LONG);

    /**
     * Creates an eventfd with count 0.
     *
     * @param name what it signals, for messages
     * @throws LinuxException if no descriptor is left
     */
    public EventFd(String name) {
        long result =
                Syscall.call(Syscalls.SYS_eventfd2, 0, EventfdConstants.EFD_CLOEXEC | EventfdConstants.EFD_NONBLOCK);
        if (result < 0) {
            arena.close();
        }
        fd = new Fd((int) LinuxException.check("eventfd for " + name, result), name);
    }

    /** Returns the descriptor, for epoll or an irqfd; this object keeps owning it. */
    public Fd fd() {
        return fd;
    }

    /** Adds one to the count. A count that is full already signals just as well. */
    public void signal() {
        long result = Syscall.call(Syscalls.SYS_write, fd.number(), one.address(), Long.BYTES);
        if (result < 0 && result != -Errnos.EAGAIN) {
            throw new LinuxException("write to " + fd, (int) -result);
        }
    }

    /** Sets the count to zero and returns what it was. */
    public long consume() {
        long result = Syscall.call(Syscalls.SYS_read, fd.number(), count.address(), Long.BYTES);
        if (result == -Errnos.EAGAIN) {
            return 0;
        }
        LinuxException.check("read from " + fd, result);
        return count.get(ValueLayout.JAVA_LONG, 0);
    }

    @Override
    public void close() {
        if (fd.closeIfOpen()) {
            arena.close();
        }
    }
}
