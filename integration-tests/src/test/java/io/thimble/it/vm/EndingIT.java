package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.VmState;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How a Linux guest can end, by itself, by buttons and by force. */
@RequiresKvm
@Timeout(120)
class EndingIT {
    /** Says that it is there and waits for ever, without using the processor. */
    private static final String WAIT = "echo here; read never";

    private final ConsoleText console = new ConsoleText();

    private MicroVmBuilder linux(String script) {
        return MicroVm.builder().console(console).command("sh", "-c", script);
    }

    private MicroVm started(MicroVmBuilder builder) throws InterruptedException {
        MicroVm vm = builder.start();
        assertThat(console.awaitText("here\n", LinuxVm.LIMIT)).as(console::text).isTrue();
        assertThat(vm.awaitReady(LinuxVm.LIMIT)).isTrue();
        return vm;
    }

    private static ExitReport end(MicroVm vm) throws InterruptedException {
        return vm.await(LinuxVm.LIMIT).orElseThrow(() -> new AssertionError("the guest does not end"));
    }

    @ParameterizedTest
    @CsvSource({"poweroff -f, POWER_OFF", "reboot -f, RESET", "reboot, RESET"})
    void a_guest_that_switches_itself_off_or_resets(String command, ExitReason reason) throws Exception {
        try (MicroVm vm = linux(command + "; read never").start()) {
            assertThat(end(vm).reason()).isEqualTo(reason);
        }
    }

    @Test
    void a_kernel_panic_is_told_by_pvpanic_and_the_report_has_its_last_lines() throws Exception {
        try (MicroVm vm = linux("echo 7 > /proc/sys/kernel/printk; echo c > /proc/sysrq-trigger")
                .vcpus(2)
                .start()) {
            ExitReport report = end(vm);
            assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.PANIC);
            assertThat(report.detail()).isEqualTo("pvpanic");
            assertThat(report.commandStatus()).isEmpty();
            assertThat(report.lastConsoleLines()).hasSizeBetween(1, 20);
            assertThat(console.text()).contains("Kernel panic - not syncing: sysrq triggered crash");
        }
    }

    @Test
    void a_kernel_that_hangs_is_killed_at_the_deadline_of_stop() throws Exception {
        // Without ACPI there is no pvpanic, and with panic=0 the kernel stays where it panicked, with all vCPUs
        // stopped.
        String script = "echo here; read go; echo c > /proc/sysrq-trigger";
        try (MicroVm vm = linux(script).acpi(false).append("panic=0").vcpus(2).start()) {
            // What is on its way when the kernel panics is lost.
            assertThat(console.awaitText("here\n", LinuxVm.LIMIT)).isTrue();
            assertThat(vm.type(new byte[] {'\n'}, 0, 1)).isEqualTo(1);
            assertThat(vm.await(Duration.ofMillis(500))).isEmpty();
            assertThat(vm.state()).isEqualTo(VmState.RUNNING);
            ExitReport report = vm.stop(Duration.ofMillis(400));
            assertThat(report.reason()).isEqualTo(ExitReason.KILLED);
            assertThat(report.detail()).isEqualTo("did not power off within 400 ms");
        }
    }

    @Test
    void stop_asks_the_agent_and_the_guest_powers_off_long_before_the_deadline() throws Exception {
        try (MicroVm vm = started(linux(WAIT))) {
            long begin = System.nanoTime();
            ExitReport report = vm.stop(LinuxVm.LIMIT);
            assertThat(report.reason()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(report.commandStatus()).hasValue(128 + 15);
            assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(10));
            assertThat(vm.stop(Duration.ZERO))
                    .as("a second stop tells the same")
                    .isEqualTo(report);
        }
    }

    @Test
    void stop_resumes_a_paused_guest_and_powers_it_off_without_acpi_as_well() throws Exception {
        try (MicroVm vm = started(linux(WAIT).acpi(false).vcpus(2))) {
            vm.pause();
            assertThat(vm.stop(LinuxVm.LIMIT).reason()).isEqualTo(ExitReason.POWER_OFF);
        }
    }

    @Test
    void a_command_that_ignores_the_request_and_keeps_all_vcpus_busy_is_killed_in_the_guest() throws Exception {
        String script = "trap '' TERM HUP; (while :; do :; done) & echo here; while :; do :; done";
        try (MicroVm vm = started(linux(script).vcpus(2))) {
            ExitReport report = vm.stop(Duration.ofSeconds(8));
            assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(report.commandStatus()).hasValue(128 + 9);
        }
    }

    /** From the moment it is told that the guest is ready, the host may press the buttons. */
    @Test
    void the_power_button_powers_off_in_order() throws Exception {
        try (MicroVm vm = started(linux("trap 'echo asked; exit 5' TERM; " + WAIT))) {
            vm.pressPowerButton();
            ExitReport report = end(vm);
            assertThat(report.reason()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(report.commandStatus()).hasValue(5);
            assertThat(console.text()).contains("asked\n");
        }
    }

    @Test
    void ctrl_alt_del_reboots_in_order() throws Exception {
        try (MicroVm vm = started(linux("trap 'echo asked; exit 6' TERM; " + WAIT))) {
            vm.pressCtrlAltDel();
            ExitReport report = end(vm);
            assertThat(report.reason()).isEqualTo(ExitReason.RESET);
            assertThat(report.commandStatus()).hasValue(6);
            assertThat(console.text()).contains("asked\n");
        }
    }

    @Test
    void stop_during_the_boot_is_obeyed_once_the_agent_is_there() throws Exception {
        try (MicroVm vm = linux(WAIT).start()) {
            assertThat(vm.stop(LinuxVm.LIMIT).reason()).isEqualTo(ExitReason.POWER_OFF);
        }
    }

    @Test
    void a_kill_during_the_boot_ends_it_at_once() throws Exception {
        try (MicroVm vm = linux(WAIT).vcpus(8).start()) {
            vm.kill();
            assertThat(vm.await(Duration.ofSeconds(10)).orElseThrow().reason()).isEqualTo(ExitReason.KILLED);
            assertThat(vm.awaitReady(LinuxVm.LIMIT)).isFalse();
        }
    }
}
