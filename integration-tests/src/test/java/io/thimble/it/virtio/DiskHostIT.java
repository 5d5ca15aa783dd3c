package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestTools;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.Disk;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.MicroVmException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What disks are to the host: a block device behind one, too many of them, and what they cost while nothing happens. */
@RequiresKvm
@Timeout(300)
class DiskHostIT {
    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final int MIB = 1 << 20;
    private static final int SIZE = 64 * MIB;

    @TempDir
    Path dir;

    private Path image(String name) throws IOException {
        Path path = dir.resolve(name);
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(SIZE);
        }
        return path;
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void a_block_device_of_the_host_is_a_disk(boolean direct) throws Exception {
        assumeTrue(Files.exists(Path.of("/dev/loop-control")), "no loop devices");
        Path backing = image("backing");
        byte[] data = new byte[MIB];
        long seed = System.nanoTime();
        new SplittableRandom(seed).nextBytes(data);
        Files.write(dir.resolve("data"), data);
        GuestTools.run("dd", "if=" + dir.resolve("data"), "of=" + backing, "conv=notrunc", "status=none");
        String device =
                GuestTools.run("losetup", "-f", "--show", backing.toString()).strip();
        try {
            String output = LinuxVm.output(
                    MicroVm.builder().disk(Disk.of(Path.of(device)).direct(direct)), """
                    cat /sys/block/vda/size
                    dd if=/dev/vda of=/dev/vda bs=1M count=1 seek=63 conv=fsync 2>/dev/null && echo copied
                    """);
            assertThat(output).isEqualTo(SIZE / 512 + "\ncopied\n");
        } finally {
            GuestTools.run("losetup", "-d", device);
        }
        byte[] all = Files.readAllBytes(backing);
        assertThat(List.of(0, 63 * MIB))
                .as("seed %d", seed)
                .allSatisfy(
                        at -> assertThat(Arrays.copyOfRange(all, at, at + MIB)).isEqualTo(data));
    }

    @Test
    void more_devices_than_interrupt_lines_are_refused_before_anything_starts() throws Exception {
        MicroVmBuilder builder = MicroVm.builder();
        for (int i = 0; i < 17; i++) {
            builder.disk(image("image" + i));
        }
        try (MicroVm vm = builder.build()) {
            assertThatThrownBy(vm::start)
                    .isInstanceOf(MicroVmException.class)
                    .hasMessageContaining("interrupt lines for 16: give the VM fewer");
        }
        // What they held is free again.
        assertThat(LinuxVm.output(MicroVm.builder().disk(dir.resolve("image0")), "ls /dev/vda"))
                .isEqualTo("/dev/vda\n");
    }

    @Test
    void a_vm_that_has_been_busy_and_does_nothing_now_costs_the_host_nothing() throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = MicroVm.builder()
                .name("idle")
                .disk(image("image"))
                .console(console)
                .command("sh", "-c", "dd if=/dev/vda of=/dev/null bs=4k 2>/dev/null; echo idle; sleep 4; echo end")
                .start()) {
            assertThat(console.awaitText("idle\n", LIMIT)).as("%s", console).isTrue();
            Work before = Work.of("thimble-idle-io");
            assertThat(console.awaitText("end\n", LIMIT)).as("%s", console).isTrue();
            Work after = Work.of("thimble-idle-io");
            assertThat(vm.disks().getFirst().metrics().readBytes()).isGreaterThanOrEqualTo(SIZE);
            assertThat(after.wakeUps() - before.wakeUps())
                    .as("wake-ups in 4 seconds")
                    .isLessThan(400);
            assertThat((double) (after.cpu() - before.cpu()) / (after.time() - before.time()))
                    .as("share of a processor")
                    .isLessThan(0.1);
        }
    }

    /** What a thread of this process has done: times in nanoseconds, and how often it slept. */
    private record Work(long time, long cpu, long wakeUps) {
        static Work of(String thread) throws IOException {
            long id = Thread.getAllStackTraces().keySet().stream()
                    .filter(t -> t.getName().equals(thread))
                    .findFirst()
                    .orElseThrow()
                    .threadId();
            long cpu = ManagementFactory.getThreadMXBean().getThreadCpuTime(id);
            return new Work(System.nanoTime(), cpu, wakeUps(thread));
        }

        private static long wakeUps(String thread) throws IOException {
            try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
                for (Path task : tasks.toList()) {
                    if (Files.readString(task.resolve("comm")).strip().equals(thread)) {
                        return Files.readAllLines(task.resolve("status")).stream()
                                .filter(line -> line.startsWith("voluntary_ctxt_switches:"))
                                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                                .findFirst()
                                .orElseThrow();
                    }
                }
            }
            throw new AssertionError("no thread " + thread);
        }
    }
}
