package io.thimble.it.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresCheckout;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Scripts;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@RequiresKvm
@RequiresCheckout
class TerminalIT {
    private static final String PROMPT = "# ";

    private @Nullable Process process;

    @BeforeAll
    static void build() {
        Launcher.build();
    }

    @AfterEach
    void end_what_a_failed_test_left() {
        if (process != null) {
            process.destroyForcibly();
        }
    }

    @Test
    void a_shell_on_a_terminal_knows_its_size_and_the_terminal_is_left_as_it_was() throws Exception {
        try (Pty terminal = new Pty()) {
            byte[] before = terminal.settings();
            terminal.resize(33, 101);
            process = Launcher.onTerminal(terminal, "run");
            terminal.awaitText("Ctrl-] x ends the VM");
            terminal.awaitText(PROMPT);
            assertThat(terminal.settings()).as("raw").isNotEqualTo(before);

            terminal.type("stty size\r");
            terminal.awaitText("33 101");
            terminal.awaitText(PROMPT);
            terminal.type(
                    "sh -c 'trap \"echo interrupted; exit\" INT; echo $((6 * 7)) up; while :; do sleep 1; done'\r");
            terminal.awaitText("42 up");
            terminal.type("\u0003");
            terminal.awaitText("interrupted");
            terminal.awaitText(PROMPT);
            terminal.type("exit 7\r");

            assertThat(Scripts.await(process)).isEqualTo(7);
            assertThat(terminal.settings()).isEqualTo(before);
        }
    }

    @Test
    void the_guest_learns_that_the_window_has_changed() throws Exception {
        try (Pty terminal = new Pty()) {
            terminal.resize(24, 80);
            process = Launcher.onTerminal(
                    terminal,
                    "run",
                    "--",
                    "sh",
                    "-c",
                    "trap 'stty size; exit 0' WINCH; echo wait''ing; while :; do sleep 1; done");
            terminal.awaitText("waiting");

            terminal.resize(50, 132);

            terminal.awaitText("50 132");
            assertThat(Scripts.await(process)).isZero();
        }
    }

    @Test
    void the_escape_ends_the_VM() throws Exception {
        try (Pty terminal = new Pty()) {
            byte[] before = terminal.settings();
            process = Launcher.onTerminal(terminal, "run");
            terminal.awaitText(PROMPT);

            terminal.type("\u001dx");

            assertThat(Scripts.await(process)).isEqualTo(123);
            terminal.awaitText("thimble: the VM was ended");
            assertThat(terminal.settings()).isEqualTo(before);
        }
    }

    @ParameterizedTest
    @CsvSource({"INT, 130", "TERM, 143", "HUP, 129"})
    void signals_leave_the_terminal_as_it_was(String signal, int status) throws Exception {
        try (Pty terminal = new Pty()) {
            byte[] before = terminal.settings();
            process = Launcher.onTerminal(terminal, "run");
            terminal.awaitText(PROMPT);

            assertThat(new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid()))
                            .start()
                            .waitFor())
                    .isZero();

            assertThat(Scripts.await(process)).isEqualTo(status);
            assertThat(terminal.settings()).isEqualTo(before);
        }
    }
}
