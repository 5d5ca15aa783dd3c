package io.thimble.guest;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.time.Duration;

/** A pseudo-terminal: the test holds the master, the agent opens the other end by its path as if it were a serial port. */
final class Pty implements AutoCloseable {
    private static final int O_RDWR = 2;
    private static final int O_NOCTTY = 0x100;
    private static final int O_CLOEXEC = 0x80000;
    private static final short POLLIN = 1;
    private static final long TIOCGWINSZ = 0x5413;
    private static final int PATH_MAX = 4096;

    private static final MethodHandle OPENPT = link("posix_openpt", JAVA_INT, JAVA_INT);
    private static final MethodHandle GRANTPT = link("grantpt", JAVA_INT, JAVA_INT);
    private static final MethodHandle UNLOCKPT = link("unlockpt", JAVA_INT, JAVA_INT);
    private static final MethodHandle PTSNAME = link("ptsname_r", JAVA_INT, JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle READ = link("read", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle WRITE = link("write", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle POLL = link("poll", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT);
    private static final MethodHandle IOCTL = link("ioctl", JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS);
    private static final MethodHandle CLOSE = link("close", JAVA_INT, JAVA_INT);

    private final int master;
    private final Path path;

    Pty() {
        master = (int) call(OPENPT, O_RDWR | O_NOCTTY | O_CLOEXEC);
        call(GRANTPT, master);
        call(UNLOCKPT, master);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(PATH_MAX);
            call(PTSNAME, master, name, (long) PATH_MAX);
            path = Path.of(name.getString(0));
        }
    }

    private static MethodHandle link(String name, MemoryLayout result, MemoryLayout... arguments) {
        Linker linker = Linker.nativeLinker();
        Linker.Option[] options =
                name.equals("ioctl") ? new Linker.Option[] {Linker.Option.firstVariadicArg(2)} : new Linker.Option[0];
        return linker.downcallHandle(
                linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, arguments), options);
    }

    private static long call(MethodHandle function, Object... arguments) {
        long result;
        try {
            result = ((Number) function.invokeWithArguments(arguments)).longValue();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
        if (result < 0) {
            throw new AssertionError("a call on a pseudo-terminal failed");
        }
        return result;
    }

    /** The path of the other end. */
    Path path() {
        return path;
    }

    /** Waits for bytes; none if there are none in time. Fails when the other end was open and is closed. */
    byte[] read(Duration limit) {
        try (Arena arena = Arena.ofConfined()) {
            // struct pollfd { int fd; short events; short revents; };
            MemorySegment poll = arena.allocate(8, 4);
            poll.set(JAVA_INT, 0, master);
            poll.set(JAVA_SHORT, 4, POLLIN);
            if (call(POLL, poll, 1L, (int) limit.toMillis()) == 0) {
                return new byte[0];
            }
            MemorySegment bytes = arena.allocate(PATH_MAX);
            long n = call(READ, master, bytes, (long) PATH_MAX);
            return bytes.asSlice(0, n).toArray(JAVA_BYTE);
        }
    }

    void write(byte[] bytes) {
        try (Arena arena = Arena.ofConfined()) {
            long written = call(WRITE, master, arena.allocateFrom(JAVA_BYTE, bytes), (long) bytes.length);
            if (written != bytes.length) {
                throw new AssertionError("the pseudo-terminal is full");
            }
        }
    }

    /** The terminal's size, as "rows columns". */
    String windowSize() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocate(8, 2);
            call(IOCTL, master, TIOCGWINSZ, size);
            return size.get(JAVA_SHORT, 0) + " " + size.get(JAVA_SHORT, 2);
        }
    }

    @Override
    public void close() {
        call(CLOSE, master);
    }
}
