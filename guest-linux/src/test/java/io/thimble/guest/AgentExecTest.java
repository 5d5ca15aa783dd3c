package io.thimble.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.vmm.ExecResult;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import io.thimble.vmm.GuestProcess;
import io.thimble.vmm.GuestStatus;
import io.thimble.vmm.guest.ExecRequest;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Programs through the committed agent, over Unix sockets: needs neither KVM nor root. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AgentExecTest {
    private static final int LIMIT = 64 << 20;

    @TempDir
    Path folder;

    private ServingAgent agent;

    @BeforeEach
    void start() throws Exception {
        agent = new ServingAgent(ServingAgent.COMMITTED, folder);
    }

    @AfterEach
    void stop() {
        agent.close();
    }

    private ExecResult run(String... command) throws Exception {
        return agent.client.run(ExecRequest.of(command), new byte[0], LIMIT, null);
    }

    private ExecResult shell(String script) throws Exception {
        return run("sh", "-c", script);
    }

    private static ExecRequest with(
            Map<String, String> environment, @Nullable String directory, @Nullable String user, String... command) {
        return new ExecRequest(List.of(command), environment, directory, user, false, 0, 0, false);
    }

    private static ExecRequest terminal(String... command) {
        return new ExecRequest(List.of(command), Map.of(), null, null, true, 33, 99, false);
    }

    @Test
    void tells_output_error_and_status_apart() throws Exception {
        ExecResult result = shell("echo out; echo err >&2; exit 3");
        assertThat(result.stdoutText()).isEqualTo("out\n");
        assertThat(result.stderrText()).isEqualTo("err\n");
        assertThat(result.exitStatus()).isEqualTo(3);
        assertThat(result.signal()).isEmpty();
    }

    @Test
    void tells_the_signal_that_ended_the_program() throws Exception {
        ExecResult result = shell("kill -KILL $$");
        assertThat(result.exitStatus()).isEqualTo(137);
        assertThat(result.signal()).hasValue(9);
    }

    @Test
    void says_what_cannot_be_run_and_why() throws Exception {
        assertThatThrownBy(() -> run("no-such-program"))
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.NOT_FOUND))
                .hasMessageContaining("no-such-program: not found");
        Path data = Files.writeString(folder.resolve("data"), "data");
        assertThatThrownBy(() -> run(data.toString()))
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.CANNOT_RUN))
                .hasMessageContaining("Permission denied");
        assertThatThrownBy(() -> agent.client.exec(with(Map.of(), "/no/such", null, "true")))
                .hasMessageContaining("/no/such: No such file or directory");
        assertThatThrownBy(() -> agent.client.exec(with(Map.of(), null, "no-such-user", "true")))
                .hasMessageContaining("no-such-user: no such user");
    }

    @Test
    void hands_over_arguments_environment_and_directory_as_they_are() throws Exception {
        ExecRequest request = with(
                Map.of("A", "b c=d", "HOME", "/h"),
                "/usr",
                null,
                "sh",
                "-c",
                "printf '%s|' \"$@\" \"$A\" \"$HOME\" \"$USER\" \"$(pwd)\" \"${TERM-none}\"",
                "x",
                "a b",
                "",
                "'\"$\n\u00e9");
        ExecResult result = agent.client.run(request, new byte[0], LIMIT, null);
        assertThat(result.stdoutText()).isEqualTo("a b||'\"$\n\u00e9|b c=d|/h|root|/usr|none|");
    }

    @Test
    void takes_megabytes_of_arguments_and_says_when_they_are_too_long() throws Exception {
        List<String> command = new ArrayList<>(List.of("sh", "-c", "echo $# ${#1}", "x"));
        for (int i = 0; i < 50; i++) {
            command.add("y".repeat(100_000));
        }
        assertThat(run(command.toArray(new String[0])).stdoutText()).isEqualTo("50 100000\n");
        for (int i = 0; i < 20; i++) {
            command.add("y".repeat(100_000));
        }
        assertThatThrownBy(() -> run(command.toArray(new String[0]))).hasMessageContaining("too long for the kernel");
    }

    @Test
    void gives_the_program_its_input_and_the_end_of_it() throws Exception {
        byte[] input = new byte[3_000_001];
        new Random(1).nextBytes(input);
        ExecResult result = agent.client.run(ExecRequest.of("cat"), input, LIMIT, null);
        assertThat(result.stdout()).isEqualTo(input);
    }

    @Test
    void does_not_wait_for_a_program_that_reads_nothing() throws Exception {
        ExecResult result = agent.client.run(ExecRequest.of("true"), new byte[5 << 20], LIMIT, null);
        assertThat(result.exitStatus()).isZero();
    }

    @Test
    void tells_the_writer_when_the_program_has_closed_its_input() throws Exception {
        try (GuestProcess process = agent.client.exec(ExecRequest.of("sh", "-c", "exec <&-; echo up; sleep 1000"))) {
            assertThat(process.stdout().read()).isEqualTo('u');
            OutputStream stdin = process.stdin();
            assertThatThrownBy(() -> {
                        while (true) {
                            stdin.write(new byte[1000]);
                        }
                    })
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("reads no more");
        }
    }

    @Test
    void a_reader_of_one_stream_does_not_wait_for_the_other() throws Exception {
        String script = "head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wait";
        try (GuestProcess process = agent.client.exec(ExecRequest.of("sh", "-c", script))) {
            assertThat(process.stdout().readNBytes(3_000_000)).hasSize(3_000_000);
            assertThat(process.isAlive()).as("the other stream is full").isTrue();
            assertThat(process.stderr().readAllBytes()).hasSize(3_000_000);
            assertThat(process.waitFor()).isZero();
            assertThat(process.stdout().read()).isEqualTo(-1);
        }
    }

    @Test
    void waits_for_the_end_though_nobody_reads() throws Exception {
        try (GuestProcess process = agent.client.exec(ExecRequest.of("sh", "-c", "head -c 200000 /dev/zero; exit 4"))) {
            assertThat(process.waitFor(Duration.ofSeconds(60))).isTrue();
            assertThat(process.exitStatus()).isEqualTo(4);
            assertThat(process.onExit().get()).isEqualTo(4);
            assertThat(process.stdout().readAllBytes()).hasSize(200_000);
        }
    }

    @Test
    void drops_what_nobody_wants_to_read_any_more() throws Exception {
        try (GuestProcess process =
                agent.client.exec(ExecRequest.of("sh", "-c", "head -c 5000000 /dev/zero; echo done >&2"))) {
            process.stdout().close();
            assertThat(new String(process.stderr().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("done\n");
        }
    }

    @Test
    void ends_its_streams_though_a_program_left_behind_holds_them() throws Exception {
        ExecResult result = shell("sleep 1000 & echo started");
        assertThat(result.stdoutText()).isEqualTo("started\n");
    }

    @Test
    void sends_signals_to_the_process_group() throws Exception {
        try (GuestProcess process = agent.client.exec(
                ExecRequest.of("sh", "-c", "trap 'echo got; exit 7' USR1; echo up; while :; do sleep 0.05; done"))) {
            InputStream stdout = process.stdout();
            assertThat(stdout.readNBytes(3)).isEqualTo("up\n".getBytes(StandardCharsets.UTF_8));
            process.sendSignal(10);
            assertThat(new String(stdout.readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("got\n");
            assertThat(process.waitFor()).isEqualTo(7);
            process.kill(); // without effect
        }
        try (GuestProcess process = agent.client.exec(ExecRequest.of("sleep", "1000"))) {
            assertThat(process.waitFor(Duration.ofMillis(1))).isFalse();
            process.terminate();
            assertThat(process.waitFor()).isEqualTo(143);
            assertThat(process.signal()).hasValue(15);
        }
    }

    @Test
    void kills_the_process_group_when_the_connection_is_lost() throws Exception {
        GuestProcess process = agent.client.exec(ExecRequest.of("sh", "-c", "sleep 1000 & echo $!; wait"));
        String child = new String(process.stdout().readNBytes(2), StandardCharsets.UTF_8);
        assertThat(child).isNotEmpty();
        List<ProcessHandle> group = agent.process.descendants().toList();
        assertThat(group).hasSizeGreaterThanOrEqualTo(3);
        process.close();
        for (ProcessHandle handle : group) {
            handle.onExit().get(60, TimeUnit.SECONDS);
        }
        assertThatThrownBy(process::waitFor)
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.LOST));
        assertThatThrownBy(() -> process.stdout().readAllBytes()).isInstanceOf(IOException.class);
    }

    @Test
    void gives_a_terminal_of_the_size_that_is_asked_for() throws Exception {
        try (GuestProcess process = agent.client.exec(terminal(
                "sh",
                "-c",
                "tty; stty size; echo err >&2; trap 'stty size; exit 5' WINCH; while :; do sleep 0.05; done"))) {
            InputStream stdout = process.stdout();
            StringBuilder text = new StringBuilder();
            while (!text.toString().endsWith("err\r\n")) {
                text.append((char) stdout.read());
            }
            assertThat(text.toString()).startsWith("/dev/pts/").endsWith("\r\n33 99\r\nerr\r\n");
            process.resize(12, 34);
            assertThat(new String(stdout.readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("12 34\r\n");
            assertThat(process.waitFor()).isEqualTo(5);
            assertThat(process.stderr().read()).isEqualTo(-1);
        }
    }

    @Test
    void a_terminal_turns_keys_into_signals_and_ends_its_input() throws Exception {
        try (GuestProcess process = agent.client.exec(terminal("sh", "-c", "echo up; exec cat"))) {
            InputStream stdout = process.stdout();
            assertThat(stdout.readNBytes(4)).isEqualTo("up\r\n".getBytes(StandardCharsets.UTF_8));
            process.stdin().write(new byte[] {3});
            assertThat(process.waitFor()).isEqualTo(130);
        }
        try (GuestProcess process = agent.client.exec(terminal("cat"))) {
            process.stdin().write("hi\n".getBytes(StandardCharsets.UTF_8));
            process.stdin().close();
            assertThat(process.waitFor()).isZero();
            assertThat(new String(process.stdout().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("hi\r\nhi\r\n");
        }
    }

    @Test
    void a_terminal_ends_its_input_behind_part_of_a_line_too() throws Exception {
        try (GuestProcess process = agent.client.exec(terminal("cat"))) {
            process.stdin().write("abc".getBytes(StandardCharsets.UTF_8));
            process.stdin().close();
            assertThat(process.waitFor()).isZero();
            assertThat(new String(process.stdout().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("abcabc");
        }
    }

    @Test
    void a_terminal_loses_nothing_of_what_a_program_wrote_last() throws Exception {
        for (int i = 0; i < 20; i++) {
            ExecResult result = agent.client.run(
                    terminal("sh", "-c", "head -c 20000 /dev/zero | tr '\\0' x; echo end"), new byte[0], LIMIT, null);
            assertThat(result.stdoutText()).hasSize(20_005).endsWith("xend\r\n");
        }
    }

    @Test
    void merges_the_streams_in_order_when_asked() throws Exception {
        ExecRequest request = new ExecRequest(
                List.of("sh", "-c", "echo 1; echo 2 >&2; echo 3"), Map.of(), null, null, false, 0, 0, true);
        ExecResult result = agent.client.run(request, new byte[0], LIMIT, null);
        assertThat(result.stdoutText()).isEqualTo("1\n2\n3\n");
        assertThat(result.stderr()).isEmpty();
    }

    @Test
    void kills_a_program_that_writes_too_much_or_runs_too_long() throws Exception {
        assertThatThrownBy(() -> agent.client.run(ExecRequest.of("yes"), new byte[0], 100_000, null))
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.LIMIT));
        assertThatThrownBy(() ->
                        agent.client.run(ExecRequest.of("sleep", "1000"), new byte[0], LIMIT, Duration.ofMillis(50)))
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.TIMEOUT));
    }

    @Test
    void runs_fifty_programs_at_once_and_two_hundred_in_turn() throws Exception {
        List<Callable<String>> tasks = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            String script = "head -c 300000 /dev/zero | sha256sum >&2; head -c 300000 /dev/zero; exit " + i;
            tasks.add(() -> {
                ExecResult result = shell(script);
                return result.exitStatus() + " " + result.stdout().length + " " + result.stderr().length;
            });
        }
        try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<String>> results = executor.invokeAll(tasks);
            for (int i = 0; i < 50; i++) {
                assertThat(results.get(i).get()).isEqualTo(i + " 300000 68");
            }
        }
        for (int i = 0; i < 200; i++) {
            assertThat(run("echo", "x" + i).stdoutText()).isEqualTo("x" + i + "\n");
        }
    }

    @Test
    void carries_binary_streams_both_ways_unharmed() throws Exception {
        int size = 64 << 20;
        MessageDigest sent = MessageDigest.getInstance("SHA-256");
        MessageDigest received = MessageDigest.getInstance("SHA-256");
        try (GuestProcess process = agent.client.exec(ExecRequest.of("cat"))) {
            Thread writer = Thread.ofVirtual().start(() -> {
                Random random = new Random(2);
                byte[] block = new byte[100_003];
                try (OutputStream stdin = process.stdin()) {
                    for (int left = size; left > 0; ) {
                        random.nextBytes(block);
                        int part = Math.min(left, block.length);
                        sent.update(block, 0, part);
                        stdin.write(block, 0, part);
                        left -= part;
                    }
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            });
            byte[] block = new byte[70_001];
            for (int n = process.stdout().read(block);
                    n >= 0;
                    n = process.stdout().read(block)) {
                received.update(block, 0, n);
            }
            writer.join();
            assertThat(HexFormat.of().formatHex(received.digest()))
                    .isEqualTo(HexFormat.of().formatHex(sent.digest()));
            assertThat(process.waitFor()).isZero();
        }
    }

    @Test
    void reports_memory_and_processes() throws Exception {
        GuestStatus status = agent.client.status();
        assertThat(status.memoryTotal()).isGreaterThan(status.memoryAvailable()).isGreaterThan(64 << 20);
        assertThat(status.uptime()).isPositive();
        assertThat(status.processes()).isPositive();
    }

    @Test
    void ends_its_programs_when_it_is_terminated() throws Exception {
        try (GuestProcess process = agent.client.exec(ExecRequest.of("sleep", "1000"))) {
            agent.process.destroy();
            assertThat(process.waitFor()).isEqualTo(143);
            assertThat(agent.process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        }
    }
}
