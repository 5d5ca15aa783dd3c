package io.thimble.vmm.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a hostile guest may say of a program. */
class HostileProgramTest {
    private static final Duration DEADLINE = Duration.ofSeconds(60);
    private static final byte[] PID = {1, 2, 3, 4};

    private static ScriptedChannel started() {
        return new ScriptedChannel().frame(WireProtocol.STARTED, PID);
    }

    private static ExecConnection start(ScriptedChannel guest) throws IOException {
        return ExecConnection.start(
                guest, ExecRequest.of("x"), Thread.ofVirtual().factory());
    }

    private static void breaks(ScriptedChannel guest, Problem problem) throws IOException {
        try (ExecConnection process = start(guest)) {
            assertThatThrownBy(() -> process.awaitEnd(DEADLINE))
                    .isInstanceOfSatisfying(
                            GuestException.class, e -> assertThat(e.problem()).isEqualTo(problem));
            assertThat(guest.isOpen()).isFalse();
        }
    }

    @Test
    void takes_a_program_s_life() throws Exception {
        ScriptedChannel guest = started()
                .frame(WireProtocol.STDOUT, (byte) 'o')
                .frame(0xfe, (byte) 1)
                .frame(WireProtocol.EXIT, (byte) 1, (byte) 9, (byte) 77)
                .frame(WireProtocol.STDOUT_END)
                .frame(WireProtocol.STDERR, (byte) 'e')
                .frame(WireProtocol.STDERR_END)
                .frame(WireProtocol.END);
        try (ExecConnection process = start(guest)) {
            assertThat(process.awaitEnd(DEADLINE)).isTrue();
            assertThat(process.pid()).isEqualTo(0x04030201);
            assertThat(process.waitFor()).isEqualTo(137);
            assertThat(process.signal()).hasValue(9);
            assertThat(process.stdout().readAllBytes()).containsExactly('o');
            assertThat(process.stderr().readAllBytes()).containsExactly('e');
        }
    }

    @ParameterizedTest
    @CsvSource({
        "a second start,        82, 4, 1",
        "an exit too short,     87, 1, 1",
        "an exit twice,         87, 2, 2",
        "an end too early,      8A, 0, 1",
        "a stream's end twice,  85, 0, 2",
        "credit that is short,  88, 3, 1",
        "a status unasked for,  90, 40, 1"
    })
    void refuses(String what, String type, int length, int times) throws IOException {
        ScriptedChannel guest = started();
        for (int i = 0; i < times; i++) {
            guest.frame(Integer.parseInt(type, 16), new byte[length]);
        }
        breaks(guest, Problem.PROTOCOL);
    }

    @Test
    void refuses_exits_that_mean_nothing_and_credit_beyond_the_window() throws IOException {
        breaks(started().frame(WireProtocol.EXIT, (byte) 2, (byte) 0), Problem.PROTOCOL);
        breaks(started().frame(WireProtocol.EXIT, (byte) 1, (byte) 65), Problem.PROTOCOL);
        breaks(started().frame(WireProtocol.EXIT, (byte) 1, (byte) 0), Problem.PROTOCOL);
        breaks(started().frame(WireProtocol.STDIN_CREDIT, (byte) 1, (byte) 0, (byte) 0, (byte) 0), Problem.PROTOCOL);
        breaks(
                started().frame(WireProtocol.STDIN_CREDIT, (byte) -1, (byte) -1, (byte) -1, (byte) -1),
                Problem.PROTOCOL);
    }

    @Test
    void refuses_output_beyond_the_window_and_keeps_what_was_in_it() throws Exception {
        ScriptedChannel guest = started();
        for (int i = 0; i < 5; i++) {
            guest.frame(WireProtocol.STDOUT, new byte[65536]);
        }
        try (ExecConnection process = start(guest)) {
            assertThatThrownBy(() -> process.awaitEnd(DEADLINE)).hasMessageContaining("more output than it may");
            assertThat(process.stdout().readNBytes(262_144)).hasSize(262_144);
            assertThatThrownBy(() -> process.stdout().read()).isInstanceOf(IOException.class);
        }
    }

    @Test
    void a_connection_that_ends_early_is_lost() throws IOException {
        breaks(started(), Problem.LOST);
        breaks(started().raw(new byte[] {3, 0}), Problem.LOST);
        breaks(started().frame(WireProtocol.EXIT, (byte) 0, (byte) 0), Problem.LOST);
        assertThatThrownBy(() -> start(new ScriptedChannel()))
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.LOST));
        assertThatThrownBy(() -> start(new ScriptedChannel().frame(WireProtocol.EXIT, (byte) 0, (byte) 0)))
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.PROTOCOL));
    }

    @Test
    void sends_the_request_that_the_document_describes() throws Exception {
        ScriptedChannel guest = started();
        start(guest).close();
        assertThat(guest.said())
                .startsWith(8, 0, 0, 1, 'T', 'M', 'B', 'L', 1, 0, 1, 0)
                .containsSequence(2, 0, 0, 0x10, 'x', 0)
                .endsWith(1, 0, 0, 0x15, 0);
    }
}
