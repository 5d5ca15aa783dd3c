package io.thimble.it.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.CopyResult;
import io.thimble.vmm.ExecResult;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import io.thimble.vmm.GuestProcess;
import io.thimble.vmm.MicroVm;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Programs and copies in a guest that is idle otherwise, and the command's own streams. */
@RequiresKvm
@Timeout(300)
class ExecIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));
    private static final long MUCH = HostKvm.isEmulated() ? 4L << 20 : 256L << 20;
    private static final int SEVERAL = HostKvm.isEmulated() ? 10 : 50;
    private static final int IN_TURN = HostKvm.isEmulated() ? 20 : 200;

    @TempDir
    private Path folder;

    private static MicroVm idle() {
        return MicroVm.builder().idle().start();
    }

    private static void powersOff(MicroVm vm) throws InterruptedException {
        assertThat(vm.stop(LIMIT).reason()).isEqualTo(ExitReason.POWER_OFF);
    }

    @Test
    void runs_programs_of_all_kinds_in_an_idle_guest() throws Exception {
        try (MicroVm vm = idle()) {
            ExecResult result =
                    vm.program("sh", "-c", "echo out; echo err >&2; exit 3").run();
            assertThat(result.stdoutText()).isEqualTo("out\n");
            assertThat(result.stderrText()).isEqualTo("err\n");
            assertThat(result.exitStatus()).isEqualTo(3);
            assertThat(vm.program("sh", "-c", "id -u; id -g; pwd; echo $A")
                            .user("1000:1001")
                            .directory("/tmp")
                            .environment("A", "b c")
                            .run()
                            .stdoutText())
                    .isEqualTo("1000\n1001\n/tmp\nb c\n");
            assertThat(vm.program("sh", "-c", "tty; stty size")
                            .terminal(33, 99)
                            .run()
                            .stdoutText())
                    .isEqualTo("/dev/pts/0\r\n33 99\r\n");
            assertThat(vm.guestStatus().memoryTotal()).isBetween(100L << 20, 256L << 20);
            assertThatThrownBy(() -> vm.exec("no-such-program"))
                    .isInstanceOfSatisfying(
                            GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.NOT_FOUND));
            powersOff(vm);
            assertThatThrownBy(() -> vm.exec("true"))
                    .isInstanceOfSatisfying(
                            GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.NO_AGENT));
        }
    }

    @Test
    void runs_many_at_once_and_many_in_turn() throws Exception {
        try (MicroVm vm = idle();
                var executor = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Callable<String>> tasks = new ArrayList<>();
            for (int i = 0; i < SEVERAL; i++) {
                String script = "head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2; exit " + i;
                tasks.add(() -> {
                    ExecResult result = vm.program("sh", "-c", script).run();
                    return result.exitStatus() + " " + result.stdout().length + " " + result.stderr().length;
                });
            }
            List<Future<String>> results = executor.invokeAll(tasks);
            for (int i = 0; i < SEVERAL; i++) {
                assertThat(results.get(i).get()).isEqualTo(i + " 100000 100000");
            }
            for (int i = 0; i < IN_TURN; i++) {
                assertThat(vm.program("echo", "x" + i).run().stdoutText()).isEqualTo("x" + i + "\n");
            }
            powersOff(vm);
        }
    }

    @Test
    void carries_a_binary_stream_both_ways_unharmed() throws Exception {
        long seed = new SplittableRandom().nextLong();
        MessageDigest sent = MessageDigest.getInstance("SHA-256");
        MessageDigest received = MessageDigest.getInstance("SHA-256");
        try (MicroVm vm = idle();
                GuestProcess cat = vm.exec("cat")) {
            Thread writer = Thread.ofVirtual().start(() -> {
                SplittableRandom random = new SplittableRandom(seed);
                byte[] block = new byte[100_003];
                try (OutputStream stdin = cat.stdin()) {
                    for (long left = MUCH; left > 0; ) {
                        random.nextBytes(block);
                        int part = (int) Math.min(left, block.length);
                        sent.update(block, 0, part);
                        stdin.write(block, 0, part);
                        left -= part;
                    }
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            });
            byte[] block = new byte[70_001];
            for (int n = cat.stdout().read(block); n >= 0; n = cat.stdout().read(block)) {
                received.update(block, 0, n);
            }
            writer.join();
            assertThat(HexFormat.of().formatHex(received.digest()))
                    .as("seed %d", seed)
                    .isEqualTo(HexFormat.of().formatHex(sent.digest()));
        }
    }

    @Test
    void copies_trees_in_and_out() throws Exception {
        Path tree = Files.createDirectories(folder.resolve("tree"));
        Files.createDirectory(tree.resolve("empty"));
        byte[] content = new byte[5_000_001];
        new SplittableRandom(4).nextBytes(content);
        Files.write(tree.resolve("large"), content);
        Files.createSymbolicLink(tree.resolve("link"), Path.of("large"));
        try (MicroVm vm = idle()) {
            CopyResult in = vm.copyIn(tree, "/srv/");
            assertThat(in).isEqualTo(new CopyResult(4, content.length, 0));
            assertThat(vm.program("sh", "-c", "cd /srv/tree; wc -c < large; readlink link; ls -a empty")
                            .run()
                            .stdoutText())
                    .isEqualTo("5000001\nlarge\n.\n..\n");
            assertThat(vm.copyOut("/srv/tree", folder.resolve("back"))).isEqualTo(in);
            assertThat(folder.resolve("back/large")).hasBinaryContent(content);
            assertThat(Files.getLastModifiedTime(folder.resolve("back/large")))
                    .isEqualTo(Files.getLastModifiedTime(tree.resolve("large")));
            powersOff(vm);
        }
    }

    @Test
    void a_program_dies_with_its_connection_and_with_the_VM() throws Exception {
        try (MicroVm vm = idle()) {
            GuestProcess sleeper = vm.exec("sh", "-c", "echo $$; exec sleep 1000");
            String pid = new String(sleeper.stdout().readNBytes(2), StandardCharsets.UTF_8);
            assertThat(pid).isNotBlank();
            sleeper.close();
            GuestProcess second =
                    vm.exec("sh", "-c", "while pgrep sleep > /dev/null; do usleep 10000; done; echo gone");
            assertThat(new String(second.stdout().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("gone\n");
            GuestProcess third = vm.exec("sleep", "1000");
            vm.kill();
            assertThatThrownBy(third::waitFor)
                    .isInstanceOfSatisfying(
                            GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.LOST));
        }
    }

    private record Ended(ExitReport report, String stdout, String stderr, String console) {}

    private static Ended command(boolean vsock, byte[] input, String script) throws InterruptedException {
        ByteArrayOutputStream stdout = new ByteArrayOutputStream();
        ByteArrayOutputStream stderr = new ByteArrayOutputStream();
        ByteArrayOutputStream console = new ByteArrayOutputStream();
        try (MicroVm vm = MicroVm.builder()
                .vsock(vsock)
                .command("sh", "-c", script)
                .stdin(new ByteArrayInputStream(input))
                .stdout(stdout)
                .stderr(stderr)
                .console(console)
                .start()) {
            ExitReport report = vm.await(LinuxVm.LIMIT).orElseThrow();
            return new Ended(
                    report,
                    stdout.toString(StandardCharsets.UTF_8),
                    stderr.toString(StandardCharsets.UTF_8),
                    console.toString(StandardCharsets.UTF_8));
        }
    }

    @Test
    void the_command_has_streams_of_its_own() throws Exception {
        byte[] input = "input\n".getBytes(StandardCharsets.UTF_8);
        Ended ended = command(true, input, "cat; head -c 1000000 /dev/zero >&2; echo log > /dev/console; exit 7");
        assertThat(ended.report().commandStatus()).hasValue(7);
        assertThat(ended.stdout()).isEqualTo("input\n");
        assertThat(ended.stderr()).isEqualTo("\0".repeat(1_000_000));
        assertThat(ended.console()).endsWith("log\r\n");
    }

    @Test
    void without_vsock_the_command_is_on_the_console() throws Exception {
        byte[] input = "input\n".getBytes(StandardCharsets.UTF_8);
        Ended ended = command(false, input, "cat; echo err >&2; exit 7");
        assertThat(ended.report().commandStatus()).hasValue(7);
        assertThat(ended.stdout()).endsWith("input\nerr\n");
        assertThat(ended.stderr()).isEmpty();
        assertThat(ended.console()).isEmpty();
    }
}
