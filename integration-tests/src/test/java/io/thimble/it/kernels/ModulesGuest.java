package io.thimble.it.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestPrograms;
import io.thimble.vmm.Balloon;
import io.thimble.vmm.ConsoleKind;
import io.thimble.vmm.Disk;
import io.thimble.vmm.ExecResult;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.Network;
import java.io.IOException;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * A running VM with one of Debian's kernels, every kind of device, and an initial RAM disk that loads that kernel's own modules before
 * the agent starts. The TAP interfaces {@code tap0} and {@code tap1} come and go with it.
 */
final class ModulesGuest {
    static final Duration LIMIT = Duration.ofSeconds(200);
    static final int MIB = 1 << 20;

    /** What {@code rdinit=} names: loads the modules and becomes the agent. */
    private static final String LOAD_MODULES = """
            #!/bin/sh
            mount -t devtmpfs dev /dev
            for module in /modules/*.ko; do insmod $module || echo "not loaded: $module" >/dev/kmsg; done
            exec /init
            """;

    final String kernel;
    final long seed = new SplittableRandom().nextLong();

    /** What the guest has written to {@code hvc0} and to the port {@code out}. */
    final ConsoleText console = new ConsoleText();

    final ConsoleText port = new ConsoleText();

    /** What it reads from {@code hvc0} and from the port {@code in}. */
    final PipedOutputStream keyboard = new PipedOutputStream();

    final PipedOutputStream portInput = new PipedOutputStream();

    /** The images of {@code /dev/vda}, which is read-only and random, and of {@code /dev/vdb}, which is empty. */
    final Path source;

    final Path target;

    final MicroVm vm;

    private final Path directory;
    private final SplittableRandom random = new SplittableRandom(seed);

    ModulesGuest(String kernel, Path directory) throws Exception {
        this.kernel = kernel;
        this.directory = directory;
        System.out.println(kernel + ": seed " + seed);
        source = file("source", random(8 * MIB));
        target = file("target", new byte[16 * MIB]);
        vm = MicroVm.builder()
                .kernel(DebianKernelIT.Entry.ELF.of(kernel))
                .initrd(initrd())
                .append("quiet loglevel=3 rdinit=/load-modules")
                .vcpus(2)
                .consoleKind(ConsoleKind.VIRTIO)
                .console(console)
                .consoleInput(new PipedInputStream(keyboard))
                .inputPort("in", new PipedInputStream(portInput))
                .outputPort("out", port)
                .disk(Disk.of(source).readOnly(true).serial("source"))
                .disk(Disk.of(target).queues(2))
                .network(Network.newTap("tap0").withOffloads(true))
                .network(Network.newTap("tap1").withOffloads(false))
                .balloon(new Balloon(true))
                .idle()
                .start();
        if (!vm.awaitReady(LIMIT)) {
            vm.close();
            throw new AssertionError("the guest is not ready: " + console);
        }
    }

    private Path initrd() throws Exception {
        GuestPrograms initrd = new GuestPrograms().own("echo-server").own("vsock-peer");
        initrd.file("/load-modules", Files.writeString(directory.resolve("load-modules"), LOAD_MODULES));
        Path modules = Path.of(System.getProperty(DebianKernelIT.KERNELS), kernel, "modules");
        try (Stream<Path> all = Files.list(modules).sorted()) {
            all.forEach(module -> initrd.file("/modules/" + module.getFileName(), module));
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        return initrd.write(directory.resolve(kernel + ".initrd"));
    }

    /** Makes a file of the host's. */
    Path file(String name, byte[] content) throws IOException {
        return Files.write(directory.resolve(kernel + "-" + name), content);
    }

    /** Returns random bytes. */
    byte[] random(int length) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    /** Runs a shell script in the guest to its end with status 0 and returns what it printed. */
    String run(String script) throws Exception {
        ExecResult result = vm.program("sh", "-c", script).mergeStderr().run();
        assertThat(result.exitStatus()).as(result.stdoutText()).isZero();
        return result.stdoutText();
    }

    /** Powers it off, which must go well. */
    void powerOff() throws Exception {
        try (vm) {
            assertThat(vm.stop(LIMIT).reason()).as(console::text).isEqualTo(ExitReason.POWER_OFF);
            assertThat(vm.statistics().driverFaults()).isZero();
            assertThat(vm.statistics().hostFailures()).isZero();
        }
    }
}
