package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.linux.Terminal.WindowSize;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.IoctlsConstants;
import io.thimble.linux.abi.Syscalls;
import io.thimble.linux.abi.Termios2Layout;
import io.thimble.linux.abi.WinsizeLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** With a pseudo-terminal: the test holds both ends. */
class TerminalTest {
    private final Arena arena = Arena.ofConfined();
    private Fd master;
    private Fd terminal;

    @BeforeEach
    void open_a_pseudo_terminal() {
        master = Fd.open("/dev/ptmx", FcntlConstants.O_RDWR | FcntlConstants.O_NOCTTY);
        MemorySegment unlocked = arena.allocateFrom(ValueLayout.JAVA_INT, 0);
        LinuxException.check(
                "TIOCSPTLCK", Syscall.ioctl(master.number(), IoctlsConstants.TIOCSPTLCK, unlocked.address()));
        long peer = Syscall.ioctl(
                master.number(), IoctlsConstants.TIOCGPTPEER, FcntlConstants.O_RDWR | FcntlConstants.O_NOCTTY);
        terminal = new Fd((int) LinuxException.check("TIOCGPTPEER", peer), "terminal");
    }

    @AfterEach
    void close_it() {
        terminal.close();
        master.close();
        arena.close();
    }

    @Test
    void tells_terminals_from_other_files() {
        try (Fd file = Fd.open("/dev/null", FcntlConstants.O_RDWR)) {
            assertThat(Terminal.isTerminal(terminal.number())).isTrue();
            assertThat(Terminal.isTerminal(file.number())).isFalse();
            assertThat(Terminal.windowSize(file.number())).isEmpty();
            assertThatExceptionOfType(LinuxException.class)
                    .isThrownBy(() -> Terminal.makeRaw(file.number()))
                    .satisfies(e -> assertThat(e.errno()).isEqualTo(Errnos.ENOTTY));
        }
    }

    @Test
    void passes_every_byte_in_raw_mode_in_both_directions() {
        Terminal.makeRaw(terminal.number());

        // Interrupt, end of file, carriage return, stop, quote and a byte with eight bits, and no line end.
        byte[] keys = {3, 4, '\r', 19, 22, (byte) 0xff};
        write(master, keys);
        assertThat(read(terminal, keys.length)).isEqualTo(keys);
        byte[] output = "one\ntwo".getBytes(StandardCharsets.US_ASCII);
        write(terminal, output);
        assertThat(read(master, 64)).as("no echo before it, no CR added").isEqualTo(output);
    }

    @Test
    void restores_every_setting_once() {
        byte[] before = settings();
        Terminal raw = Terminal.makeRaw(terminal.number());
        assertThat(settings()).isNotEqualTo(before);

        raw.restore();

        assertThat(settings()).isEqualTo(before);
        Terminal.makeRaw(terminal.number());
        byte[] changedByAnother = settings();
        raw.restore();
        assertThat(settings()).isEqualTo(changedByAnother);
    }

    @Test
    void knows_the_window_once_it_was_told() {
        assertThat(Terminal.windowSize(terminal.number())).isEmpty();
        MemorySegment size = arena.allocate(WinsizeLayout.SIZEOF, Short.BYTES);
        size.set(ValueLayout.JAVA_SHORT, WinsizeLayout.OFFSETOF_WS_ROW, (short) 50);
        size.set(ValueLayout.JAVA_SHORT, WinsizeLayout.OFFSETOF_WS_COL, (short) 40_000);

        LinuxException.check("TIOCSWINSZ", Syscall.ioctl(master.number(), IoctlsConstants.TIOCSWINSZ, size.address()));

        assertThat(Terminal.windowSize(terminal.number())).contains(new WindowSize(50, 40_000));
    }

    private byte[] settings() {
        MemorySegment termios = arena.allocate(Termios2Layout.SIZEOF, Integer.BYTES);
        LinuxException.check("TCGETS2", Syscall.ioctl(terminal.number(), IoctlsConstants.TCGETS2, termios.address()));
        return termios.toArray(ValueLayout.JAVA_BYTE);
    }

    private void write(Fd to, byte[] bytes) {
        MemorySegment buffer = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
        assertThat(Syscall.call(Syscalls.SYS_write, to.number(), buffer.address(), bytes.length))
                .isEqualTo(bytes.length);
    }

    private byte[] read(Fd from, int most) {
        MemorySegment buffer = arena.allocate(most);
        long length =
                LinuxException.check("read", Syscall.call(Syscalls.SYS_read, from.number(), buffer.address(), most));
        return buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
    }
}
