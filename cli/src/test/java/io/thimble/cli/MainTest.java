package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
    private record Result(int status, String out, String err) {}

    private static Result run(String... arguments) {
        PrintStream savedOut = System.out;
        PrintStream savedErr = System.err;
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        try {
            int status = Main.statusOf(List.of(arguments));
            return new Result(status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(savedOut);
            System.setErr(savedErr);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"--help", "-h", "help", "run --help", "run -h", "doctor --help"})
    void helps_on_the_standard_output(String line) {
        Result result = run(line.split(" "));

        assertThat(result.status()).isZero();
        assertThat(result.out()).startsWith("usage: ").contains("--memory", "doctor", "Exit status");
        assertThat(result.err()).isEmpty();
    }

    @Test
    void tells_its_version() {
        assertThat(run("--version").out()).matches("thimble \\d+\\.\\d+\\.\\d+\\S*\\R");
    }

    @Test
    void says_how_to_use_it_without_a_command() {
        Result result = run();

        assertThat(result.status()).isEqualTo(ExitStatus.USAGE);
        assertThat(result.err()).startsWith("usage: ");
    }

    @Test
    void refuses_what_it_does_not_know_in_one_line_with_a_suggestion() {
        Result result = run("doktor");

        assertThat(result.status()).isEqualTo(ExitStatus.USAGE);
        assertThat(result.err())
                .isEqualTo("thimble: there is no command doktor (did you mean doctor?); see ./thimble --help"
                        + System.lineSeparator());
    }

    @Test
    void help_names_every_exit_status() {
        assertThat(run("--help").out())
                .contains(List.of("110", "111", "112", "113", "114", "115", "116", "117", "120", "121", "122", "123"));
    }
}
