package io.thimble.vmm.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PipedInputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(20)
class CommandInputTest {
    private final List<Long> ends = new ArrayList<>();

    private CommandInput input(int bytes) {
        return new CommandInput(new ByteArrayInputStream(new byte[bytes]), ends::add);
    }

    private static CompletableFuture<Integer> readLater(CommandInput input) {
        return CompletableFuture.supplyAsync(() -> {
            try {
                return input.read(new byte[8192], 0, 8192);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
    }

    @Test
    void gives_nothing_before_the_command_runs() throws Exception {
        CommandInput input = input(5);
        CompletableFuture<Integer> read = readLater(input);
        assertThat(read).isNotDone();

        input.open();

        assertThat(read.get(10, TimeUnit.SECONDS)).isEqualTo(5);
    }

    @Test
    void keeps_within_the_window_until_the_agent_has_taken_more() throws Exception {
        CommandInput input = input(3 * CommandInput.WINDOW);
        input.open();
        assertThat(input.read(new byte[8192], 0, 8192)).isEqualTo(CommandInput.WINDOW);
        CompletableFuture<Integer> read = readLater(input);

        input.taken(CommandInput.WINDOW + 1L);
        input.taken(-1);
        assertThat(read).as("figures that cannot be true open no window").isNotDone();
        input.taken(100);

        assertThat(read.get(10, TimeUnit.SECONDS)).isEqualTo(100);
    }

    @Test
    void tells_once_how_many_bytes_there_were() throws Exception {
        CommandInput input = input(7);
        input.open();
        assertThat(input.read(new byte[4], 0, 4)).isEqualTo(4);
        assertThat(input.read(new byte[4], 0, 4)).isEqualTo(3);

        assertThat(input.read()).isEqualTo(-1);
        assertThat(input.read()).isEqualTo(-1);

        assertThat(ends).containsExactly(7L);
    }

    @Test
    void a_stream_that_fails_ends_the_command_s_input_as_well() {
        CommandInput input = new CommandInput(new PipedInputStream(), ends::add);
        input.open();

        assertThatIOException().isThrownBy(input::read).withMessage("Pipe not connected");

        assertThat(ends).containsExactly(0L);
    }

    @Test
    void cancelling_ends_a_wait_and_tells_no_end() throws Exception {
        CommandInput input = input(5);
        CompletableFuture<Integer> read = readLater(input);

        input.cancel();

        assertThat(read.get(10, TimeUnit.SECONDS)).isEqualTo(-1);
        assertThat(ends).isEmpty();
    }
}
