package io.thimble.it.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.VmStatistics;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * libkrunfw's kernel, taken from the library by its C function: a raw image without ACPI and without a driver for serial ports.
 * The system property {@code thimble.it.krunfw} names the library where the machine has none of its own.
 */
@RequiresKvm(hardware = "its emulator lacks CMPXCHG16B, which libkrunfw's kernel uses")
@Timeout(240)
class KrunfwIT {
    private static final Duration LIMIT = Duration.ofSeconds(200);

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
}
