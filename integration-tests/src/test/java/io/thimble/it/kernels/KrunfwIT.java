package io.thimble.it.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.vmm.ConsoleMode;
import io.thimble.vmm.Disk;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.VmStatistics;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * libkrunfw's kernel, taken from the library by its C function: a raw image without ACPI, without a driver for serial ports, and
 * without initial RAM disks. Its console is {@code hvc0}, its devices stand on its command line, its processors in the MP table, and
 * its root file system is a disk that the VM makes.
 * The system property {@code thimble.it.krunfw} names the library where the machine has none of its own.
 */
@RequiresKvm(hardware = "its emulator lacks CMPXCHG16B, which libkrunfw's kernel uses")
@Timeout(240)
class KrunfwIT {
    private static final Duration LIMIT = Duration.ofSeconds(200);

    @TempDir
    private Path directory;

    private static GuestKernel kernel() {
        Optional<Path> library = Optional.ofNullable(System.getProperty("thimble.it.krunfw"))
                .map(Path::of)
                .or(GuestKernel::findKrunfw);
        assumeTrue(library.isPresent(), "libkrunfw is not installed (Debian: package libkrunfw5)");
        return GuestKernel.krunfw(library.get());
    }

    /**
     * Without a root file system a kernel goes through all of its start, finds no init, panics, and resets at once
     * ({@code panic=-1}) through the keyboard controller ({@code reboot=k}): it ran, and read its command line.
     */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void it_starts_finds_its_processors_and_resets_as_its_command_line_says(int vcpus) throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = MicroVm.builder()
                .kernel(kernel())
                .vcpus(vcpus)
                .noInitrd()
                .append("quiet")
                .console(console)
                .start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow(() -> new AssertionError("no end"));
            assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.RESET);
            assertThat(console.text()).as("on hvc0, which is all it has").contains("Kernel panic - not syncing: VFS");
            VmStatistics statistics = vm.statistics();
            System.out.println(vm.kernelDescription().orElseThrow() + "\n" + statistics);
            assertThat(statistics.inKvmRun())
                    .hasSize(vcpus)
                    .allSatisfy(time -> assertThat(time).isPositive());
            assertThat(vm.kernelDescription().orElseThrow()).contains("raw kernel image", "entry 0x");
        }
    }

    @Test
    void it_runs_a_command_with_disks_and_vsock_that_its_command_line_announces() throws Exception {
        byte[] content = new byte[2 << 20];
        new SplittableRandom(3).nextBytes(content);
        Path source = Files.write(directory.resolve("source"), content);
        Path target = Files.write(directory.resolve("target"), new byte[content.length]);
        String script = """
                sha256sum </dev/vda
                cat /dev/vda >/dev/vdb && sync
                tr ' ' '\\n' </proc/cmdline | grep -c virtio_mmio.device=
                [ ! -d /sys/firmware/acpi ] && [ -b /dev/vdc ] && echo true
                cat /proc/consoles >/dev/console
                cat
                exit 5
                """;
        byte[] input = new byte[1 << 20];
        new SplittableRandom(4).nextBytes(input);
        ByteArrayOutputStream stdout = new ByteArrayOutputStream();
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = MicroVm.builder()
                .kernel(kernel())
                .vcpus(2)
                .append("quiet")
                .disk(Disk.of(source).readOnly(true))
                .disk(target)
                .console(console)
                .command("sh", "-c", script)
                .stdin(new ByteArrayInputStream(input))
                .stdout(stdout)
                .start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow(() -> new AssertionError("no end: " + console));
            assertThat(report.commandStatus())
                    .as("%s\n%s\n%s", report.describe(), stdout, console)
                    .hasValue(5);
            assertThat(vm.statistics().driverFaults()).isZero();
        }
        String sum =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
        byte[] said = stdout.toByteArray();
        int head = said.length - input.length;
        assertThat(new String(said, 0, head, StandardCharsets.US_ASCII)).isEqualTo(sum + "  -\n7\ntrue\n");
        assertThat(Arrays.copyOfRange(said, head, said.length)).isEqualTo(input);
        assertThat(target).hasBinaryContent(content);
        assertThat(console.text()).contains("hvc0").doesNotContain("ttyS0");
    }

    @Test
    void hvc0_carries_the_commands_input_and_output() throws Exception {
        ConsoleText console = new ConsoleText();
        byte[] input = "a line\nand another\n".getBytes(StandardCharsets.US_ASCII);
        try (MicroVm vm = MicroVm.builder()
                .kernel(kernel())
                .console(console)
                .consoleMode(ConsoleMode.STREAM)
                .consoleInput(new ByteArrayInputStream(input))
                .append("quiet")
                .command("sh", "-c", "cat; cat /sys/class/tty/console/active; seq 2000; exit 6")
                .start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow(() -> new AssertionError("no end: " + console));
            assertThat(report.commandStatus()).as(report.describe()).hasValue(6);
        }
        String numbers =
                IntStream.rangeClosed(1, 2_000).mapToObj(Integer::toString).collect(Collectors.joining("\n", "", "\n"));
        assertThat(console.withoutKernelLog()).contains("a line\nand another\nhvc0\n" + numbers);
    }
}
