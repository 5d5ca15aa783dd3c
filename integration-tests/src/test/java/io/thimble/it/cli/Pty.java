package io.thimble.it.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.Fd;
import io.thimble.linux.LinuxException;
import io.thimble.linux.Syscall;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.IoctlsConstants;
import io.thimble.linux.abi.Syscalls;
import io.thimble.linux.abi.Termios2Layout;
import io.thimble.linux.abi.WinsizeLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** A pseudo-terminal: the test types and reads at one end, the launcher has the other. */
final class Pty implements AutoCloseable {
    private static final long DEADLINE_NANOS = 120_000_000_000L;
    private static final int CHUNK = 4096;

    private final Fd master = Fd.open("/dev/ptmx", FcntlConstants.O_RDWR | FcntlConstants.O_NOCTTY);
    private final Fd terminal;
    private final Path path;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    private final StringBuilder seen = new StringBuilder(); // guarded by lock

    Pty() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocateFrom(ValueLayout.JAVA_INT, 0);
            ioctl(master, IoctlsConstants.TIOCSPTLCK, number);
            ioctl(master, IoctlsConstants.TIOCGPTN, number);
            path = Path.of("/dev/pts/" + number.get(ValueLayout.JAVA_INT, 0));
        }
        // Kept open: the master reads EIO while nobody has the other end.
        terminal = Fd.open(path.toString(), FcntlConstants.O_RDWR | FcntlConstants.O_NOCTTY);
        Thread.ofPlatform().daemon(true).name("pty-reader").start(this::readAlong);
    }

    private static void ioctl(Fd fd, long request, MemorySegment argument) {
        LinuxException.check("ioctl on a terminal", Syscall.ioctl(fd.number(), request, argument.address()));
    }

    Path path() {
        return path;
    }

    private void readAlong() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(CHUNK);
            int fd = master.number();
            for (long n = 1; n > 0; ) {
                n = Syscall.call(Syscalls.SYS_read, fd, buffer.address(), CHUNK);
                if (n > 0) {
                    show(new String(buffer.asSlice(0, n).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8));
                }
            }
        }
    }

    private void show(String text) {
        lock.lock();
        try {
            seen.append(text);
            arrived.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits until the screen has shown {@code text}, and forgets everything up to it. */
    String awaitText(String text) throws InterruptedException {
        long left = DEADLINE_NANOS;
        lock.lock();
        try {
            while (seen.indexOf(text) < 0 && left > 0) {
                left = arrived.awaitNanos(left);
            }
            int at = seen.indexOf(text);
            assertThat(at).as("\"%s\" on the screen: %s", text, seen).isNotNegative();
            String before = seen.substring(0, at);
            seen.delete(0, at + text.length());
            return before;
        } finally {
            lock.unlock();
        }
    }

    void type(String keys) {
        try (Arena arena = Arena.ofConfined()) {
            byte[] bytes = keys.getBytes(StandardCharsets.UTF_8);
            MemorySegment buffer = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
            assertThat(Syscall.call(Syscalls.SYS_write, master.number(), buffer.address(), bytes.length))
                    .isEqualTo(bytes.length);
        }
    }

    void resize(int rows, int columns) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocate(WinsizeLayout.SIZEOF, Short.BYTES);
            size.set(ValueLayout.JAVA_SHORT, WinsizeLayout.OFFSETOF_WS_ROW, (short) rows);
            size.set(ValueLayout.JAVA_SHORT, WinsizeLayout.OFFSETOF_WS_COL, (short) columns);
            ioctl(master, IoctlsConstants.TIOCSWINSZ, size);
        }
    }

    /** Returns all of the terminal's settings. */
    byte[] settings() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment termios = arena.allocate(Termios2Layout.SIZEOF, Integer.BYTES);
            ioctl(terminal, IoctlsConstants.TCGETS2, termios);
            return termios.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    @Override
    public void close() {
        // The reader ends by EIO once the last descriptor of the other end is gone.
        terminal.close();
        master.close();
    }
}
