package io.thimble.it.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Debian 12's kernels, unmodified, with the bundled initial RAM disk. They find processors and the way to power off in
 * ACPI only: the cloud flavour knows no MP table.
 *
 * <p>The system property {@code thimble.it.kernels} names a directory with {@code amd64} and {@code cloud-amd64}, each of
 * which holds {@code vmlinuz} as shipped and {@code vmlinux} unpacked from it.
 */
@RequiresKvm(hardware = "its emulator lacks instructions that stock kernels use")
@EnabledIfSystemProperty(
        named = DebianKernelIT.KERNELS,
        matches = ".+",
        disabledReason = "kvm-host/run gives the kernels: it sets thimble.it.kernels")
@Timeout(240)
class DebianKernelIT {
    static final String KERNELS = "thimble.it.kernels";

    private static final Duration LIMIT = Duration.ofSeconds(200);

    private final ConsoleText console = new ConsoleText();

    enum Entry {
        /** The bzImage as shipped, by its own 64-bit entry. */
        BZIMAGE,
        /** The unpacked ELF file, by Linux's 64-bit boot protocol. */
        ELF,
        /** The unpacked ELF file, by its PVH note. */
        PVH;

        GuestKernel of(String flavour) {
            Path directory = Path.of(System.getProperty(KERNELS), flavour);
            return switch (this) {
                case BZIMAGE -> GuestKernel.file(directory.resolve("vmlinuz"));
                case ELF -> GuestKernel.file(directory.resolve("vmlinux"));
                case PVH -> GuestKernel.pvh(directory.resolve("vmlinux"));
            };
        }
    }

    private ExitReport run(MicroVmBuilder builder, String script) throws InterruptedException {
        try (MicroVm vm = builder.console(console).command("sh", "-c", script).start()) {
            return vm.await(LIMIT).orElseThrow(() -> new AssertionError("no end: " + console));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "cloud-amd64, BZIMAGE, 1",
        "cloud-amd64, BZIMAGE, 2",
        "cloud-amd64, ELF, 1",
        "cloud-amd64, ELF, 2",
        "cloud-amd64, PVH, 1",
        "cloud-amd64, PVH, 2",
        "amd64, BZIMAGE, 2",
        "amd64, ELF, 1",
        "amd64, PVH, 2",
    })
    void it_runs_a_command_on_every_cpu_and_powers_off_by_acpi(String flavour, Entry entry, int vcpus)
            throws Exception {
        ExitReport report =
                run(MicroVm.builder().kernel(entry.of(flavour)).vcpus(vcpus).append("quiet loglevel=3"), """
                uname -r
                echo "nproc $(nproc)"
                ls /sys/firmware/acpi/tables | grep -v -E '^(data|dynamic)$' | sort | tr '\\n' ' '; echo
                dmesg | grep -E 'ACPI (BIOS )?(Error|Warning)|Firmware Bug|BIOS Error' | sed 's/^/complaint: /'
                cpu=0
                while [ $cpu -lt $(nproc) ]; do taskset -c $cpu true && echo "ran $cpu"; cpu=$((cpu + 1)); done
                exit 5
                """);

        String output = console.withoutKernelLog();
        assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.POWER_OFF);
        assertThat(report.commandStatus()).as(output).hasValue(5);
        assertThat(output)
                .containsPattern("6\\.1\\.0-\\d+-" + flavour + "\n")
                .contains("nproc " + vcpus + "\n")
                .contains("APIC DSDT FACP")
                .doesNotContain("complaint:");
        assertThat(Pattern.compile("ran (\\d)").matcher(output).results().map(MatchResult::group))
                .hasSize(vcpus);
    }

    @ParameterizedTest
    @CsvSource({"acpi", "kbd"})
    void it_resets_by_the_acpi_register_and_by_the_keyboard_controller(String way) throws Exception {
        ExitReport report = run(
                MicroVm.builder().kernel(Entry.ELF.of("cloud-amd64")).append("quiet loglevel=3 reboot=" + way),
                "reboot -f");
        assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.RESET);
    }

    @ParameterizedTest
    @CsvSource({"128", "5120"})
    void it_finds_its_memory_on_both_sides_of_the_hole(long mebibytes) throws Exception {
        ExitReport report = run(
                MicroVm.builder()
                        .kernel(Entry.ELF.of("cloud-amd64"))
                        .memory(mebibytes << 20)
                        .append("quiet loglevel=3"),
                "grep MemTotal /proc/meminfo");
        assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.POWER_OFF);
        MatchResult total = Pattern.compile("MemTotal: +(\\d+) kB")
                .matcher(console.text())
                .results()
                .findFirst()
                .orElseThrow(() -> new AssertionError(console.text()));
        assertThat(Long.parseLong(total.group(1)) >> 10).isBetween(mebibytes - 32 - mebibytes / 16, mebibytes);
    }
}
