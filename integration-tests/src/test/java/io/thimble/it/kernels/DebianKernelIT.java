package io.thimble.it.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Kernels as Debian ships them, and the bundled one, with the bundled initial RAM disk. Debian's find processors and the
 * way to power off in ACPI only: the cloud flavour knows no MP table.
 *
 * <p>The system property {@code thimble.it.kernels} names a directory with one directory for each {@link #DEBIAN}, which
 * holds {@code vmlinuz} as shipped and {@code vmlinux} unpacked from it. With {@code thimble.it.matrix=full} each kernel
 * starts in every {@link Setting} by every entry, but for the runs in the file {@code thimble.it.matrix.done}; otherwise a few do. Each run prints a line
 * {@code matrix: ...}, of which {@code kvm-host/matrix} makes the table in docs/guests.md.
 */
@RequiresKvm(hardware = "its emulator lacks instructions that stock kernels use")
@EnabledIfSystemProperty(
        named = DebianKernelIT.KERNELS,
        matches = ".+",
        disabledReason = "kvm-host/run gives the kernels: it sets thimble.it.kernels")
@Timeout(300)
class DebianKernelIT {
    static final String KERNELS = "thimble.it.kernels";

    private static final Duration LIMIT = Duration.ofMinutes(4);
    private static final String BUNDLED = "bundled";
    static final List<String> DEBIAN = List.of("debian12", "debian12-cloud", "debian13-cloud", "sid-cloud");
    private static final Pattern RELEASE = Pattern.compile("^\\d+\\.\\d+\\S*$", Pattern.MULTILINE);

    private final ConsoleText console = new ConsoleText();

    enum Entry {
        /** The bzImage as shipped, by its own 64-bit entry. */
        BZIMAGE,
        /** The unpacked ELF file, by Linux's 64-bit boot protocol. */
        ELF,
        /** The unpacked ELF file, by its PVH note. */
        PVH;

        GuestKernel of(String kernel) {
            if (kernel.equals(BUNDLED)) {
                return this == PVH ? GuestKernel.pvh(LinuxVm.kernel()) : GuestKernel.file(LinuxVm.kernel());
            }
            Path directory = Path.of(System.getProperty(KERNELS), kernel);
            return switch (this) {
                case BZIMAGE -> GuestKernel.file(directory.resolve("vmlinuz"));
                case ELF -> GuestKernel.file(directory.resolve("vmlinux"));
                case PVH -> GuestKernel.pvh(directory.resolve("vmlinux"));
            };
        }
    }

    /** Machines, and how they end: each pair of two choices is in one of them. */
    enum Setting {
        SMALL(1, 128, ExitReason.POWER_OFF),
        LARGE(2, 5120, ExitReason.POWER_OFF),
        SMALL_REBOOT(2, 128, ExitReason.RESET),
        LARGE_REBOOT(1, 5120, ExitReason.RESET);

        final int vcpus;
        final long mebibytes;
        final ExitReason end;

        Setting(int vcpus, long mebibytes, ExitReason end) {
            this.vcpus = vcpus;
            this.mebibytes = mebibytes;
            this.end = end;
        }
    }

    record Run(String kernel, Entry entry, Setting setting) {
        @Override
        public String toString() {
            return kernel + " " + entry + " " + setting;
        }
    }

    /** Tells whether every kernel is to be tried in every way. */
    static boolean isFull() {
        return "full".equals(System.getProperty("thimble.it.matrix"));
    }

    static Stream<Run> runs() {
        if (!isFull()) {
            return Stream.of(
                    new Run("debian12", Entry.PVH, Setting.LARGE),
                    new Run("debian12-cloud", Entry.BZIMAGE, Setting.SMALL),
                    new Run("debian12-cloud", Entry.PVH, Setting.SMALL_REBOOT),
                    new Run("debian13-cloud", Entry.ELF, Setting.LARGE));
        }
        Set<String> done = done();
        return Stream.concat(Stream.of(BUNDLED), DEBIAN.stream())
                .flatMap(kernel -> Stream.of(Entry.values())
                        .filter(entry -> entry != Entry.BZIMAGE || !kernel.equals(BUNDLED))
                        .flatMap(entry -> Stream.of(Setting.values()).map(setting -> new Run(kernel, entry, setting))))
                .filter(run -> !done.contains(run.toString()));
    }

    private static Set<String> done() {
        String file = System.getProperty("thimble.it.matrix.done", "");
        try {
            return file.isEmpty() ? Set.of() : Set.copyOf(Files.readAllLines(Path.of(file)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private ExitReport run(MicroVmBuilder builder, String script) throws InterruptedException {
        try (MicroVm vm = builder.console(console).command("sh", "-c", script).start()) {
            return vm.await(LIMIT).orElseThrow(() -> new AssertionError("no end: " + console));
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("runs")
    void it_finds_its_machine_runs_a_command_and_ends_as_asked(Run run) throws Exception {
        String outcome = "failed";
        try {
            check(run);
            outcome = "ok";
        } finally {
            String release = RELEASE.matcher(console.withoutKernelLog())
                    .results()
                    .map(MatchResult::group)
                    .findFirst()
                    .orElse("-");
            System.out.println("matrix: " + run + " " + outcome + " " + release);
        }
    }

    private void check(Run run) throws InterruptedException {
        Setting setting = run.setting;
        ExitReport report = run(
                MicroVm.builder()
                        .kernel(run.entry.of(run.kernel))
                        .vcpus(setting.vcpus)
                        .memory(setting.mebibytes << 20)
                        .append("quiet loglevel=3"),
                """
                uname -r
                echo "nproc $(nproc)"
                grep MemTotal /proc/meminfo
                ls /sys/firmware/acpi/tables | grep -v -E '^(data|dynamic)$' | sort | tr '\\n' ' '; echo
                dmesg | grep -E 'ACPI (BIOS )?(Error|Warning)|Firmware Bug|BIOS Error' | sed 's/^/complaint: /'
                cpu=0
                while [ $cpu -lt $(nproc) ]; do taskset -c $cpu true && echo "ran $cpu"; cpu=$((cpu + 1)); done
                """ + (setting.end == ExitReason.RESET ? "reboot -f" : "exit 5"));

        String output = console.withoutKernelLog();
        assertThat(report.reason()).as(report.describe()).isEqualTo(setting.end);
        if (setting.end == ExitReason.POWER_OFF) {
            assertThat(report.commandStatus()).as(output).hasValue(5);
        }
        assertThat(output)
                .containsPattern(RELEASE)
                .contains("nproc " + setting.vcpus + "\n")
                .contains("APIC DSDT FACP")
                .doesNotContain("complaint:");
        assertThat(Pattern.compile("ran (\\d)").matcher(output).results().map(MatchResult::group))
                .hasSize(setting.vcpus);
        MatchResult total = Pattern.compile("MemTotal: +(\\d+) kB")
                .matcher(output)
                .results()
                .findFirst()
                .orElseThrow(() -> new AssertionError(output));
        assertThat(Long.parseLong(total.group(1)) >> 10)
                .isBetween(setting.mebibytes - 48 - setting.mebibytes / 16, setting.mebibytes);
    }

    @ParameterizedTest
    @CsvSource({"acpi", "kbd"})
    void it_resets_by_the_acpi_register_and_by_the_keyboard_controller(String way) throws Exception {
        ExitReport report = run(
                MicroVm.builder().kernel(Entry.ELF.of("debian12-cloud")).append("quiet loglevel=3 reboot=" + way),
                "reboot -f");
        assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.RESET);
    }
}
