package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Await;
import io.thimble.it.support.ConsoleText;
import io.thimble.vmm.Balloon;
import io.thimble.vmm.ConsoleKind;
import io.thimble.vmm.ExecResult;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.GuestAddress;
import io.thimble.vmm.GuestBalloon;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.Network;
import io.thimble.vmm.NetworkSwitch;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Linux's drivers on packed virtqueues: block, vsock, rng, console, net and balloon, each at work. */
@RequiresKvm
@Timeout(300)
class PackedRingsIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));
    private static final int DISK = 12 << 20;
    private static final long MIB = 1 << 20;

    /** For each device its type and whether VIRTIO_F_RING_PACKED, bit 34, was negotiated; by type. */
    private static final String FORMATS = "cd /sys/bus/virtio/devices; for d in *; do"
            + " echo $(printf %d $(cat $d/device)) $(cut -c35 $d/features); done | sort -n";

    @TempDir
    private Path folder;

    private final NetworkSwitch middle = NetworkSwitch.create("packed");

    private MicroVmBuilder builder(int number, ConsoleText console) {
        return MicroVm.builder()
                .packedRings(true)
                .consoleKind(ConsoleKind.VIRTIO)
                .console(console)
                .network(Network.on(middle).withAddress(GuestAddress.of("192.0.2." + number + "/24")))
                .balloon(new Balloon(true))
                .idle();
    }

    private static String run(MicroVm vm, String script) throws Exception {
        ExecResult result = vm.program("sh", "-c", script).run();
        assertThat(result.exitStatus()).as(result.stderrText()).isZero();
        return result.stdoutText();
    }

    private static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    @Test
    void linux_uses_every_device_by_packed_rings(TestReporter reporter) throws Exception {
        long seed = System.nanoTime();
        reporter.publishEntry("seed", Long.toString(seed));
        byte[] content = new byte[DISK];
        new SplittableRandom(seed).nextBytes(content);
        Path image = Files.write(folder.resolve("disk"), content);
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = builder(1, console).disk(image).start();
                MicroVm other = builder(2, new ConsoleText()).start()) {
            // net, block, console, rng, balloon, vsock
            assertThat(run(vm, FORMATS)).isEqualTo("1 1\n2 1\n3 1\n4 1\n5 1\n19 1\n");
            readsAndWritesTheDisk(vm, content, image);
            String sent = run(vm, "dd if=/dev/hwrng bs=4096 count=16 of=/tmp/r 2>/dev/null; gzip -c /tmp/r | wc -c");
            assertThat(Integer.parseInt(sent.strip())).as("random bytes").isGreaterThan(1 << 16);
            sendsOverTheNetwork(vm, other);
            usesTheBalloon(vm);
            run(vm, "i=0; while [ $i -lt 500 ]; do echo line $i of the console; i=$((i+1)); done > /dev/console");
            assertThat(console.awaitText("line 499 of the console", LIMIT)).isTrue();
            vm.pause();
            vm.resume();
            readsAndWritesTheDisk(vm, content, image);
            sendsOverTheNetwork(other, vm);
            assertThat(vm.statistics().driverFaults()).isZero();
            assertThat(other.statistics().driverFaults()).isZero();
            assertThat(vm.stop(LIMIT).reason()).isEqualTo(ExitReason.POWER_OFF);
        }
    }

    /** Out of order, with many requests under way: several readers at once, direct I/O. */
    private static void readsAndWritesTheDisk(MicroVm vm, byte[] content, Path image) throws Exception {
        run(
                vm,
                "for i in 0 1 2 3 4 5; do dd if=/dev/vda of=/dev/null bs=4k skip=$((i*512)) count=512 iflag=direct"
                        + " 2>/dev/null & done; wait; echo 3 > /proc/sys/vm/drop_caches");
        assertThat(run(vm, "sha256sum < /dev/vda")).startsWith(sha256(content));
        run(vm, "dd if=/tmp/r of=/dev/vda bs=64k seek=5 conv=fsync 2>/dev/null || { echo x > /tmp/r; }");
        String whole = run(vm, "echo 3 > /proc/sys/vm/drop_caches; sha256sum < /dev/vda")
                .split(" ", 2)[0];
        byte[] now = Files.readAllBytes(image);
        assertThat(sha256(now)).isEqualTo(whole);
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.write(content);
        }
        run(vm, "echo 3 > /proc/sys/vm/drop_caches");
    }

    /** What comes is what went. The receiver's nc has an input that does not end, since it would close the connection then. */
    private static void sendsOverTheNetwork(MicroVm from, MicroVm to) throws Exception {
        String target = run(to, "ifconfig eth0 | grep -o 'inet addr:[0-9.]*' | cut -d: -f2")
                .strip();
        String sum = run(from, "dd if=/dev/urandom of=/tmp/n bs=1M count=8 2>/dev/null; sha256sum < /tmp/n");
        run(
                to,
                "rm -f /tmp/f; mkfifo /tmp/f; (exec 3<>/tmp/f; nc -l -p 5000 <&3 | sha256sum > /tmp/sum;"
                        + " mv /tmp/sum /tmp/received) </dev/null >/dev/null 2>&1 &");
        run(from, "until nc " + target + " 5000 < /tmp/n; do usleep 100000; done");
        assertThat(run(to, "until [ -f /tmp/received ]; do usleep 50000; done; cat /tmp/received; rm /tmp/received"))
                .isEqualTo(sum);
        run(from, "rm /tmp/n; ping -c 3 -s 8000 " + target);
    }

    private static void usesTheBalloon(MicroVm vm) throws Exception {
        GuestBalloon balloon = vm.balloon();
        balloon.setTarget(64 * MIB);
        await("the balloon grows", balloon, 64 * MIB);
        assertThat(balloon.statistics().get(60, TimeUnit.SECONDS).total()).isPositive();
        balloon.setTarget(0);
        await("the balloon shrinks", balloon, 0);
        assertThat(balloon.released()).isGreaterThanOrEqualTo(64 * MIB);
    }

    private static void await(String what, GuestBalloon balloon, long actual) {
        Await.until(what, LIMIT, () -> balloon.actual() == actual);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void the_format_is_as_the_builder_says(boolean packed) throws Exception {
        try (MicroVm vm = MicroVm.builder().packedRings(packed).idle().start()) {
            List<String> formats = run(vm, FORMATS).lines().toList();
            assertThat(formats).containsExactly(packed ? "4 1" : "4 0", packed ? "19 1" : "19 0");
            assertThat(vm.stop(LIMIT).reason()).isEqualTo(ExitReason.POWER_OFF);
        }
    }
}
