package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestTools;
import io.thimble.linux.Fd;
import io.thimble.linux.LinuxException;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.virtio.block.BlockEngineKind;
import io.thimble.virtio.block.BlockMetrics;
import io.thimble.virtio.device.RateLimits;
import io.thimble.vmm.Disk;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Disks under Linux: file systems, a power cut, limits, and a host that fails. */
@RequiresKvm
@Timeout(300)
class DiskIT {
    private static final long GIB = 1L << 30;
    private static final Duration LIMIT = HostKvm.patience(Duration.ofMinutes(2));

    @TempDir
    Path dir;

    private Path image;

    @BeforeEach
    void create() throws IOException {
        image = sparse("image", 4 * GIB);
    }

    private Path sparse(String name, long size) throws IOException {
        Path path = dir.resolve(name);
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(size);
        }
        return path;
    }

    private static long allocated(Path path) throws IOException {
        return Long.parseLong(
                        GuestTools.run("stat", "-c", "%b", path.toString()).strip())
                * 512;
    }

    /** Runs a script to its end with status 0; returns what it printed and what the first disk has done. */
    private static Result run(String script, Disk... disks) throws InterruptedException {
        ConsoleText console = new ConsoleText();
        var builder = MicroVm.builder().vcpus(2).console(console).command("sh", "-c", script);
        List.of(disks).forEach(builder::disk);
        try (MicroVm vm = builder.start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow(() -> new AssertionError("no end: " + console));
            assertThat(report.commandStatus())
                    .as("%s\n%s", report.describe(), console)
                    .hasValue(0);
            return new Result(
                    console.withoutKernelLog(),
                    vm.disks().getFirst().metrics(),
                    vm.statistics().hostFailures());
        }
    }

    private record Result(String output, BlockMetrics metrics, long hostFailures) {}

    @ParameterizedTest
    @CsvSource({"IO_URING, false", "IO_URING, true", "THREADS, false"})
    void ext4_holds_what_fio_wrote_and_checks_clean(BlockEngineKind engine, boolean direct) throws Exception {
        assumeTrue(!direct || hasDirectIo(), "the file system of the temporary folder has no direct I/O");
        Disk disk = Disk.of(image).engine(engine).direct(direct).queues(2).serial("it-disk");
        Result result = run(GuestTools.prelude("/dev/vdb") + """
                        set -e
                        cat /sys/block/vda/serial && echo
                        tool mke2fs -q -t ext4 /dev/vda
                        mount -t ext4 /dev/vda /m
                        tool fio --name=v --directory=/m --size=48m --rw=randwrite --bsrange=512-128k --blockalign=512 \\
                            --ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --do_verify=1 --verify_fatal=1 \\
                            --numjobs=2 --randrepeat=0 --output=/log || { cat /log; exit 1; }
                        umount /m
                        tool e2fsck -fn /dev/vda
                        """, disk, GuestTools.disk());
        assertThat(result.output()).startsWith("it-disk\n").contains("Pass 5");
        assertThat(result.metrics().errors() + result.metrics().refused()).isZero();
        assertThat(result.metrics().flushes()).isPositive();
        GuestTools.run("e2fsck", "-fn", image.toString());
    }

    private boolean hasDirectIo() {
        try (Fd _ = Fd.open(image.toString(), FcntlConstants.O_RDONLY | FcntlConstants.O_DIRECT)) {
            return true;
        } catch (LinuxException e) {
            assertThat(e.errno()).isEqualTo(Errnos.EINVAL);
            return false;
        }
    }

    @Test
    void a_power_cut_loses_nothing_that_was_flushed() throws Exception {
        ConsoleText console = new ConsoleText();
        String writer = """
                set -e
                mkdir -p /m
                mount -t ext4 /dev/vda /m
                n=0
                while true; do
                  n=$((n + 1))
                  seq $n $((n + 2000)) >/m/file$n
                  sync
                  echo "durable $n"
                done
                """;
        GuestTools.run("mke2fs", "-q", "-F", "-t", "ext4", image.toString());
        try (MicroVm vm = MicroVm.builder()
                .disk(image)
                .console(console)
                .command("sh", "-c", writer)
                .start()) {
            assertThat(console.awaitText("durable 20\n", LIMIT))
                    .as("%s", console)
                    .isTrue();
            vm.kill();
        }
        String text = console.withoutKernelLog();
        int last = Integer.parseInt(text.substring(text.lastIndexOf("durable ", text.lastIndexOf('\n')) + 8)
                .lines()
                .findFirst()
                .orElseThrow());
        Result result = run("""
                mkdir -p /m; mount -t ext4 /dev/vda /m || exit 1
                dmesg | grep -c 'recovery complete'
                for n in $(seq 1 %d); do
                  seq $n $((n + 2000)) | cmp - /m/file$n || exit 1
                done
                umount /m
                """.formatted(last), Disk.of(image));
        assertThat(result.output()).isEqualTo("1\n");
        GuestTools.run("e2fsck", "-fn", image.toString());
    }

    @Test
    void a_read_only_disk_stays_as_it_is() throws Exception {
        GuestTools.run("mke2fs", "-q", "-F", "-t", "ext4", image.toString());
        String before = GuestTools.run("sha256sum", image.toString());
        Result result = run("""
                cat /sys/block/vda/ro
                mkdir -p /m; mount -t ext4 -o ro /dev/vda /m && ls /m
                dd if=/dev/zero of=/dev/vda bs=4k count=1 conv=fsync 2>/dev/null && exit 1
                exit 0
                """, Disk.of(image).readOnly(true));
        assertThat(result.output()).isEqualTo("1\nlost+found\n");
        assertThat(GuestTools.run("sha256sum", image.toString())).isEqualTo(before);
    }

    @Test
    void the_guest_sees_a_disk_grow() throws Exception {
        ConsoleText console = new ConsoleText();
        String script = """
                echo size $(cat /sys/block/vda/size)
                while [ $(cat /sys/block/vda/size) = 8388608 ]; do usleep 10000; done
                echo size $(cat /sys/block/vda/size)
                dd if=/dev/zero of=/dev/vda bs=1M seek=5119 count=1 conv=fsync,notrunc 2>/dev/null && echo written
                """;
        try (MicroVm vm = MicroVm.builder()
                .disk(image)
                .console(console)
                .command("sh", "-c", script)
                .start()) {
            assertThat(console.awaitText("size 8388608\n", LIMIT))
                    .as("%s", console)
                    .isTrue();
            assertThatThrownBy(() -> vm.disks().getFirst().resize(GIB)).hasMessageContaining("name a larger");
            vm.disks().getFirst().resize(5 * GIB);
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.commandStatus()).as(report.describe()).hasValue(0);
        }
        assertThat(console.withoutKernelLog()).isEqualTo("size 8388608\nsize 10485760\nwritten\n");
    }

    @Test
    void rates_are_kept() throws Exception {
        long start = System.nanoTime();
        Result result = run(
                "dd if=/dev/zero of=/dev/vda bs=1M count=9 conv=fsync 2>/dev/null",
                Disk.of(image).limits(new RateLimits(4 << 20, 1 << 20, 0, 0)));
        Duration took = Duration.ofNanos(System.nanoTime() - start);
        assertThat(result.metrics().writtenBytes()).isEqualTo(9 << 20);
        assertThat(result.metrics().throttled()).isPositive();
        // 9 MiB, less the burst, less what the last request may owe, at 4 MiB a second.
        assertThat(took).isGreaterThan(Duration.ofMillis(1500));
    }

    @Test
    void discard_gives_space_back_to_the_host() throws Exception {
        Result result = run("""
                dd if=/dev/zero of=/dev/vda bs=1M count=64 conv=fsync 2>/dev/null
                blkdiscard -o 1048576 -l 60M /dev/vda
                """.replace("60M", Integer.toString(60 << 20)), Disk.of(image));
        assertThat(result.metrics().discards()).isPositive();
        assertThat(allocated(image)).isLessThanOrEqualTo(5 << 20);
    }

    @Test
    void two_vms_cannot_write_to_one_image() {
        ConsoleText console = new ConsoleText();
        try (MicroVm _ = MicroVm.builder()
                        .disk(image)
                        .console(console)
                        .command("sleep", "100")
                        .start();
                MicroVm second = MicroVm.builder().disk(image).build()) {
            assertThatThrownBy(second::start)
                    .isInstanceOf(MicroVmException.class)
                    .hasMessageContaining("disk0: " + image + ": in use by another VM or process");
        }
        try (MicroVm third = MicroVm.builder().disk(image).build()) {
            third.start();
        }
    }

    @Test
    void a_full_host_fails_writes_and_not_the_vm() throws Exception {
        Path small = Files.createDirectory(dir.resolve("small"));
        GuestTools.run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small.toString());
        try {
            Path full = small.resolve("image");
            GuestTools.run("truncate", "-s", "64M", full.toString());
            Result result = run("""
                    dd if=/dev/zero of=/dev/vda bs=1M count=32 conv=fsync 2>/dev/null && exit 1
                    dd if=/dev/vda of=/dev/null bs=1M count=4 2>/dev/null && echo alive
                    """, Disk.of(full));
            assertThat(result.output()).isEqualTo("alive\n");
            assertThat(result.metrics().errors()).isPositive();
            assertThat(result.hostFailures()).isPositive();
        } finally {
            GuestTools.run("umount", small.toString());
        }
    }
}
