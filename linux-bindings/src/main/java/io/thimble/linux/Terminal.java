package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.IoctlsConstants;
import io.thimble.linux.abi.TermbitsConstants;
import io.thimble.linux.abi.Termios2Layout;
import io.thimble.linux.abi.WinsizeLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A terminal (termios(3), ioctl_tty(2)) that is in raw mode until {@link #restore}: every byte goes through as it is, in
 * both directions, and no key makes a signal.
 *
 * <p>Raw mode belongs to the terminal and not to the process: whoever made it makes sure that it is restored however the
 * process ends, by a shutdown hook. {@link #restore} may be called from any thread and any number of times.
 */
public final class Terminal {
    private static final int INPUT_OFF = TermbitsConstants.IGNBRK
            | TermbitsConstants.BRKINT
            | TermbitsConstants.PARMRK
            | TermbitsConstants.ISTRIP
            | TermbitsConstants.INLCR
            | TermbitsConstants.IGNCR
            | TermbitsConstants.ICRNL
            | TermbitsConstants.IXON;
    private static final int LOCAL_OFF = TermbitsConstants.ECHO
            | TermbitsConstants.ECHONL
            | TermbitsConstants.ICANON
            | TermbitsConstants.ISIG
            | TermbitsConstants.IEXTEN;
    private static final int CONTROL_OFF = TermbitsConstants.CSIZE | TermbitsConstants.PARENB;

    /**
     * The size of a terminal's window in characters.
     *
     * @param rows 1..65535
     * @param columns 1..65535
     */
    public record WindowSize(int rows, int columns) {}

    private final int fd;
    private final MemorySegment saved;
    private final AtomicBoolean restored = new AtomicBoolean();

    private Terminal(int fd, MemorySegment saved) {
        this.fd = fd;
        this.saved = saved;
    }

    /** Tells whether {@code fd} is a terminal, as isatty(3) does. */
    public static boolean isTerminal(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment termios = arena.allocate(Termios2Layout.SIZEOF, Integer.BYTES);
            return Syscall.ioctl(fd, IoctlsConstants.TCGETS2, termios.address()) == 0;
        }
    }

    /** Returns the size of the terminal's window; empty if {@code fd} is no terminal or nobody has said how large it is. */
    public static Optional<WindowSize> windowSize(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocate(WinsizeLayout.SIZEOF, Short.BYTES);
            if (Syscall.ioctl(fd, IoctlsConstants.TIOCGWINSZ, size.address()) < 0) {
                return Optional.empty();
            }
            int rows = Short.toUnsignedInt(size.get(ValueLayout.JAVA_SHORT, WinsizeLayout.OFFSETOF_WS_ROW));
            int columns = Short.toUnsignedInt(size.get(ValueLayout.JAVA_SHORT, WinsizeLayout.OFFSETOF_WS_COL));
            return rows > 0 && columns > 0 ? Optional.of(new WindowSize(rows, columns)) : Optional.empty();
        }
    }

    /**
     * Puts a terminal into raw mode, as cfmakeraw(3) does.
     *
     * @param fd stays the caller's, and open until {@link #restore}
     * @throws LinuxException {@code ENOTTY} if it is no terminal
     */
    public static Terminal makeRaw(int fd) {
        MemorySegment saved = Arena.ofAuto().allocate(Termios2Layout.SIZEOF, Integer.BYTES);
        LinuxException.check("TCGETS2", Syscall.ioctl(fd, IoctlsConstants.TCGETS2, saved.address()));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment raw = arena.allocate(Termios2Layout.SIZEOF, Integer.BYTES);
            raw.copyFrom(saved);
            change(raw, Termios2Layout.OFFSETOF_C_IFLAG, INPUT_OFF, 0);
            change(raw, Termios2Layout.OFFSETOF_C_OFLAG, TermbitsConstants.OPOST, 0);
            change(raw, Termios2Layout.OFFSETOF_C_LFLAG, LOCAL_OFF, 0);
            change(raw, Termios2Layout.OFFSETOF_C_CFLAG, CONTROL_OFF, TermbitsConstants.CS8);
            raw.set(ValueLayout.JAVA_BYTE, Termios2Layout.OFFSETOF_C_CC + TermbitsConstants.VMIN, (byte) 1);
            raw.set(ValueLayout.JAVA_BYTE, Termios2Layout.OFFSETOF_C_CC + TermbitsConstants.VTIME, (byte) 0);
            set(fd, raw);
        }
        return new Terminal(fd, saved);
    }

    private static void change(MemorySegment termios, long offset, int clear, int set) {
        termios.set(ValueLayout.JAVA_INT, offset, (termios.get(ValueLayout.JAVA_INT, offset) & ~clear) | set);
    }

    private static void set(int fd, MemorySegment termios) {
        long result;
        do {
            result = Syscall.ioctl(fd, IoctlsConstants.TCSETS2, termios.address());
        } while (result == -Errnos.EINTR);
        LinuxException.check("TCSETS2", result);
    }

    /**
     * Gives the terminal the settings it had before, if this is the first call.
     *
     * @throws LinuxException if it has gone: {@code EIO} after a hang-up
     */
    public void restore() {
        if (restored.compareAndSet(false, true)) {
            set(fd, saved);
        }
    }
}
