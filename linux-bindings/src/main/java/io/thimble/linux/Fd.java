package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * An owned file descriptor: whoever holds it closes it, once.
 *
 * <p>{@link #close} may be called from any thread and any number of times; only the first call closes. The owner
 * makes sure that no other thread is about to use the number: after {@code close} the kernel may give it to somebody
 * else. {@link #number} refuses a closed descriptor, which finds mistakes but does not replace that care.
 */
public final class Fd implements AutoCloseable {
    private static final VarHandle NUMBER;

    static {
        try {
            NUMBER = MethodHandles.lookup().findVarHandle(Fd.class, "number", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private static final int CLOSED = -1;

    private final String name;
    private volatile int number;

    /**
     * Takes ownership of a descriptor.
     *
     * @param number zero or more
     * @param name what it is, for messages
     */
    public Fd(int number, String name) {
        if (number < 0) {
            throw new IllegalArgumentException("not a file descriptor: " + number);
        }
        this.number = number;
        this.name = name;
    }

    /**
     * Opens a file (open(2)); {@code O_CLOEXEC} is always added.
     *
     * @throws LinuxException with the path and the error
     */
    public static Fd open(String path, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment cPath = arena.allocateFrom(path);
            long result;
            do {
                result = Syscall.call(
                        Syscalls.SYS_openat,
                        FcntlConstants.AT_FDCWD,
                        cPath.address(),
                        flags | FcntlConstants.O_CLOEXEC,
                        0);
            } while (result == -Errnos.EINTR);
            return new Fd((int) LinuxException.check(path, result), path);
        }
    }

    /**
     * Returns the number to pass to a system call.
     *
     * @throws IllegalStateException if closed
     */
    public int number() {
        int n = number;
        if (n == CLOSED) {
            throw new IllegalStateException(name + " is closed");
        }
        return n;
    }

    /** Returns what this descriptor is, for messages. */
    public String name() {
        return name;
    }

    /** Tells whether {@link #close} has been called. */
    public boolean isClosed() {
        return number == CLOSED;
    }

    /** Closes the descriptor if this is the first call; Linux frees the number whatever close(2) returns. */
    @Override
    public void close() {
        closeIfOpen();
    }

    /**
     * Like {@link #close}; tells whether this was the first call, whose caller then frees what belongs to the
     * descriptor.
     */
    public boolean closeIfOpen() {
        int n = (int) NUMBER.getAndSet(this, CLOSED);
        if (n == CLOSED) {
            return false;
        }
        Syscall.call(Syscalls.SYS_close, n);
        return true;
    }

    @Override
    public String toString() {
        int n = number;
        return name + (n == CLOSED ? " (closed)" : " (fd " + n + ")");
    }
}
