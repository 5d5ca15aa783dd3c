package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Commands;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestFiles;
import io.thimble.it.support.HostResources;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.Balloon;
import io.thimble.vmm.ConsoleKind;
import io.thimble.vmm.Disk;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.Network;
import io.thimble.vmm.NetworkSwitch;
import io.thimble.vmm.VmState;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;

/**
 * A guest that abuses every virtio device it has, while a second VM of the same JVM works.
 *
 * <p>The system property {@code thimble.it.hostile.seconds} says how long (5 by default), {@code thimble.it.hostile.seed} with which
 * random numbers.
 */
@RequiresKvm
@Isolated
@Timeout(600)
class HostileGuestIT {
    private static final Duration HOW_LONG = Duration.ofSeconds(Long.getLong("thimble.it.hostile.seconds", 5));
    private static final Duration LIMIT = HostKvm.patience(Duration.ofMinutes(1));
    /** Where the program is: behind what it writes to, out of reach of small numbers that a balloon takes for pages'. */
    private static final long ADDRESS = 0x380_0000;

    private static final int QUIET_ROUNDS = 100;
    private static final byte KEPT = 0x5a;
    /** What the hostile VM's share of two processors, and of one busy host, may cost the other at most. */
    private static final int MUCH_SLOWER = 50;

    @TempDir
    private Path directory;

    private final ConsoleText answers = new ConsoleText();
    private final NetworkSwitch middle = NetworkSwitch.create("hostile");
    private int asked;

    /** What stays after the first VM: classes, loggers, the kick handler. */
    @BeforeAll
    static void warmUp() throws InterruptedException {
        assertThat(LinuxVm.output(MicroVm.builder().consoleKind(ConsoleKind.VIRTIO), "echo warm"))
                .isEqualTo("warm\n");
    }

    @Test
    void a_guest_that_abuses_every_device_disturbs_nobody_and_can_be_killed(TestReporter reporter) throws Exception {
        long seed = Long.getLong("thimble.it.hostile.seed", System.nanoTime() | 1);
        reporter.publishEntry("seed", Long.toString(seed));
        GuestKernel program = program(seed);
        Path kept = image("kept");
        HostResources before = HostResources.now();
        ConsoleText hostile = new ConsoleText();
        try (MicroVm good = MicroVm.builder()
                .name("good")
                .memory(64 << 20)
                .consoleKind(ConsoleKind.VIRTIO)
                .console(answers)
                .network(Network.on(middle))
                .command("sh", "-c", "stty -echo; echo go; while read n; do echo \"$n $(($n * 7 + 1))\"; done")
                .start()) {
            assertThat(answers.awaitText("go\n", LIMIT)).isTrue();
            List<Long> quiet = new ArrayList<>();
            for (int i = 0; i < QUIET_ROUNDS; i++) {
                quiet.add(ask(good));
            }
            List<Long> disturbed = new ArrayList<>();
            try (MicroVm bad = MicroVm.builder()
                    .name("bad")
                    .memory(64 << 20)
                    .kernel(program)
                    .consoleKind(ConsoleKind.VIRTIO)
                    .console(hostile)
                    .port("both", InputStream.nullInputStream(), OutputStream.nullOutputStream())
                    .outputPort("out", OutputStream.nullOutputStream())
                    .disk(image("scratch"))
                    .disk(Disk.of(kept).readOnly(true))
                    .network(Network.on(middle))
                    .balloon(Balloon.create())
                    .packedRings(true)
                    .start()) {
                assertThat(hostile.awaitText("8 devices\n", LIMIT))
                        .as("rng, disks, vsock, balloon, net, console, ports; seed " + seed + ": " + hostile)
                        .isTrue();
                long end = System.nanoTime() + HOW_LONG.toNanos();
                while (System.nanoTime() < end) {
                    disturbed.add(ask(good));
                }
                assertThat(bad.await(Duration.ZERO).map(ExitReport::describe))
                        .as("end, seed " + seed)
                        .isEmpty();
                assertThat(bad.state()).isEqualTo(VmState.RUNNING);
                assertThat(bad.statistics().driverFaults()).as("seed " + seed).isGreaterThan(10);
                reporter.publishEntry(
                        "answers",
                        "median " + median(quiet) / 1000 + " us alone, " + median(disturbed) / 1000
                                + " us beside, longest "
                                + Collections.max(disturbed) / 1000 + " us of " + disturbed.size() + "; broken rules "
                                + bad.statistics().driverFaults());
                bad.kill();
                assertThat(bad.await(LIMIT)
                                .orElseThrow(() -> new AssertionError("cannot be killed; seed " + seed))
                                .reason())
                        .isEqualTo(ExitReason.KILLED);
            }
            assertThat(median(disturbed))
                    .as("median of answers beside the hostile guest, seed " + seed)
                    .isLessThan(MUCH_SLOWER * median(quiet));
            long _ = ask(good);
            good.kill();
        }
        assertThat(Files.readAllBytes(kept)).as("the disk that is read-only").containsOnly(KEPT);
        HostResources after = HostResources.now();
        assertThat(after.threads()).as("seed " + seed).isEqualTo(before.threads());
        assertThat(after.descriptors()).as("seed " + seed).isEqualTo(before.descriptors());
        assertThat(after.mappings()).as("seed " + seed).isEqualTo(before.mappings());
    }

    private Path image(String name) throws IOException {
        byte[] content = new byte[4 << 20];
        Arrays.fill(content, KEPT);
        return Files.write(directory.resolve(name), content);
    }

    /** Asks the good VM for an answer, checks it, and returns how long it took, in nanoseconds. */
    private long ask(MicroVm good) throws InterruptedException {
        int n = asked++;
        byte[] question = (n + "\n").getBytes(StandardCharsets.US_ASCII);
        int length = answers.bytes().length;
        String expected = n + " " + (n * 7 + 1) + "\n";
        long begin = System.nanoTime();
        assertThat(good.type(question, 0, question.length)).isEqualTo(question.length);
        assertThat(answers.awaitBytes(length + expected.length(), LIMIT)).isTrue();
        long took = System.nanoTime() - begin;
        assertThat(answers.text()).endsWith(expected);
        return took;
    }

    private static long median(List<Long> values) {
        return values.stream().sorted().toList().get(values.size() / 2);
    }

    private GuestKernel program(long seed) {
        Path binary = directory.resolve("hostile.program");
        String _ = Commands.check(
                "gcc",
                "-O1",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-ffreestanding",
                "-nostdlib",
                "-static",
                "-fno-pic",
                "-mcmodel=small",
                "-mno-red-zone",
                "-mgeneral-regs-only",
                "-fno-stack-protector",
                "-fno-toplevel-reorder",
                "-fno-reorder-functions",
                "-fno-asynchronous-unwind-tables",
                "-fcf-protection=none",
                "-DSEED=0x" + Long.toHexString(seed) + "ul",
                "-Wl,-N,--build-id=none,--oformat=binary,-e,_start,-Ttext=0x" + Long.toHexString(ADDRESS),
                "-o",
                binary.toString(),
                GuestFiles.source("hostile-guest").toString());
        return GuestKernel.longMode(binary, ADDRESS);
    }
}
