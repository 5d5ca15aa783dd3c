package io.thimble.linux;

import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Every system call through one downcall: libc's {@code long syscall(long nr, ...)} with six {@code long} arguments.
 *
 * <p>Linking a downcall shape costs tens of milliseconds in a cold JVM, so there is only this one. The result is the
 * kernel's: zero or more, or {@code -errno}. Addresses go as {@code long}: the caller keeps the segment behind an
 * address alive until the call returns, and longer where the kernel keeps the address.
 *
 * <p>The C library writes errno into a capture segment. A thread that makes many calls keeps one of its own
 * ({@link #newCapture}) and passes it; the other methods use one segment per thread. No call here allocates.
 *
 * <p>Not usable from several threads with the same capture segment at the same time.
 */
public final class Syscall {
    private static final FunctionDescriptor SHAPE = FunctionDescriptor.of(
            ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG);

    private static final MethodHandle SYSCALL = link("syscall");

    private static final ThreadLocal<MemorySegment> CAPTURE = ThreadLocal.withInitial(() -> newCapture(Arena.ofAuto()));

    private Syscall() {}

    /**
     * Links a function of the C library with the one shape. Its arguments must be integers or addresses, at most
     * seven; unused ones are passed as 0, which the System V calling convention lets every function ignore.
     */
    static MethodHandle link(String function) {
        return link(Linker.nativeLinker().defaultLookup().findOrThrow(function));
    }

    /** Likewise, a function of another library. */
    static MethodHandle link(MemorySegment function) {
        return Linker.nativeLinker()
                .downcallHandle(
                        function, SHAPE, Linker.Option.firstVariadicArg(1), Linker.Option.captureCallState("errno"));
    }

    /** Returns a new capture segment that lives as long as {@code arena}. */
    public static MemorySegment newCapture(Arena arena) {
        return arena.allocate(Linker.Option.captureStateLayout());
    }

    /** Returns the calling thread's own capture segment. */
    static MemorySegment threadCapture() {
        return CAPTURE.get();
    }

    /** Makes system call {@code nr}; returns its result, or {@code -errno}. */
    public static long call(MemorySegment capture, long nr, long a0, long a1, long a2, long a3, long a4, long a5) {
        try {
            long result = (long) SYSCALL.invokeExact(capture, nr, a0, a1, a2, a3, a4, a5);
            return result == -1 ? -capture.get(ValueLayout.JAVA_INT, 0) : result;
        } catch (Throwable t) {
            throw new AssertionError("a downcall threw", t);
        }
    }

    /** Makes an ioctl with an integer or an address as its argument; returns its result, or {@code -errno}. */
    public static long ioctl(MemorySegment capture, int fd, long request, long argument) {
        return call(capture, Syscalls.SYS_ioctl, fd, request, argument, 0, 0, 0);
    }

    /** Like {@link #ioctl(MemorySegment, int, long, long)} with the calling thread's capture segment. */
    public static long ioctl(int fd, long request, long argument) {
        return ioctl(CAPTURE.get(), fd, request, argument);
    }

    /** Makes system call {@code nr} without arguments; returns its result, or {@code -errno}. */
    public static long call(long nr) {
        return call(CAPTURE.get(), nr, 0, 0, 0, 0, 0, 0);
    }

    /** Makes system call {@code nr} with one argument; returns its result, or {@code -errno}. */
    public static long call(long nr, long a0) {
        return call(CAPTURE.get(), nr, a0, 0, 0, 0, 0, 0);
    }

    /** Makes system call {@code nr} with two arguments; returns its result, or {@code -errno}. */
    public static long call(long nr, long a0, long a1) {
        return call(CAPTURE.get(), nr, a0, a1, 0, 0, 0, 0);
    }

    /** Makes system call {@code nr} with three arguments; returns its result, or {@code -errno}. */
    public static long call(long nr, long a0, long a1, long a2) {
        return call(CAPTURE.get(), nr, a0, a1, a2, 0, 0, 0);
    }

    /** Makes system call {@code nr} with four arguments; returns its result, or {@code -errno}. */
    public static long call(long nr, long a0, long a1, long a2, long a3) {
        return call(CAPTURE.get(), nr, a0, a1, a2, a3, 0, 0);
    }

    /** Makes system call {@code nr} with six arguments; returns its result, or {@code -errno}. */
    public static long call(long nr, long a0, long a1, long a2, long a3, long a4, long a5) {
        return call(CAPTURE.get(), nr, a0, a1, a2, a3, a4, a5);
    }
}
