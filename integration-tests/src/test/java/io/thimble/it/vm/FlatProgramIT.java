package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestProgram;
import io.thimble.it.support.GuestProgram.Mode;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.VmState;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Programs without an operating system, in each mode of the processor, and each way in which they can end a VM. */
@RequiresKvm
@Timeout(60)
class FlatProgramIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(20));
    private static final int PM1A_CONTROL = 0x604;
    private static final int S5_AND_SLEEP_ENABLE = 5 << 10 | 1 << 13;

    @TempDir
    private Path directory;

    private final ConsoleText console = new ConsoleText();

    private MicroVmBuilder vm(GuestProgram program) {
        return MicroVm.builder().kernel(program.in(directory)).memory(16 << 20).console(console);
    }

    private ExitReport run(Mode mode, Consumer<GuestProgram> code) throws InterruptedException {
        GuestProgram program = new GuestProgram(mode);
        code.accept(program);
        try (MicroVm vm = vm(program).debugExit(true).start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(vm.state()).isEqualTo(VmState.STOPPED);
            return report;
        }
    }

    @ParameterizedTest
    @EnumSource
    void prints_and_ends_with_a_code_in_every_mode(Mode mode) throws Exception {
        ExitReport report = run(
                mode, program -> program.print("hello from " + mode + "\r\n").debugExit(42));

        assertThat(report.reason()).isEqualTo(ExitReason.POWER_OFF);
        assertThat(report.debugExitCode()).hasValue(42);
        assertThat(report.detail()).isEqualTo("debug exit");
        assertThat(report.commandStatus()).isEmpty();
        assertThat(report.registers()).isEmpty();
        assertThat(report.lastConsoleLines()).containsExactly("hello from " + mode);
        assertThat(console.bytes()).asString(StandardCharsets.US_ASCII).isEqualTo("hello from " + mode + "\r\n");
    }

    @ParameterizedTest
    @EnumSource
    void reads_what_is_typed(Mode mode) throws Exception {
        GuestProgram program = new GuestProgram(mode).listen().print(">");
        int loop = program.here();
        program.readConsole().outAl(GuestProgram.COM1).compareAl('q').jumpIfNotZero(loop);
        program.debugExit(7);
        try (MicroVm vm = vm(program).debugExit(true).start()) {
            assertThat(console.awaitText(">", LIMIT)).isTrue();
            byte[] typed = "--abcq".getBytes(StandardCharsets.US_ASCII);
            assertThat(vm.type(typed, 2, 4)).isEqualTo(4);

            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.debugExitCode()).hasValue(7);
            assertThat(console.text()).isEqualTo(">abcq");
        }
    }

    @ParameterizedTest
    @EnumSource
    void a_triple_fault_is_a_crash_with_registers_and_the_last_lines(Mode mode) throws Exception {
        ExitReport report = run(mode, program -> {
            for (int i = 1; i <= 25; i++) {
                program.print("line " + i + "\n");
            }
            program.print("last \007words").tripleFault();
        });

        assertThat(report.reason()).isEqualTo(ExitReason.CRASH);
        assertThat(report.detail()).isEqualTo("KVM_EXIT_SHUTDOWN: triple fault on vCPU 0");
        assertThat(report.registers()).contains("rip").contains("cr0").contains("cs");
        assertThat(report.lastConsoleLines()).hasSize(20).first().isEqualTo("line 7");
        assertThat(report.lastConsoleLines()).last().isEqualTo("last ?words");
        assertThat(report.describe())
                .startsWith("CRASH (KVM_EXIT_SHUTDOWN")
                .contains("last console lines:")
                .contains("rip");
    }

    @Test
    void acpi_s5_powers_off() throws Exception {
        ExitReport report = run(
                Mode.LONG,
                program -> program.outw(PM1A_CONTROL, S5_AND_SLEEP_ENABLE).haltForEver());
        assertThat(report.reason()).isEqualTo(ExitReason.POWER_OFF);
        assertThat(report.debugExitCode()).isEmpty();
    }

    @Test
    void a_sleep_that_is_not_s5_does_not_end_the_vm() throws Exception {
        ExitReport report = run(
                Mode.PROTECTED,
                program -> program.outw(PM1A_CONTROL, 3 << 10 | 1 << 13).debugExit(1));
        assertThat(report.debugExitCode()).hasValue(1);
    }

    @Test
    void each_reset_register_resets_and_says_which_it_was() throws Exception {
        assertThat(run(Mode.REAL, program -> program.outb(0x64, 0xfe).haltForEver()))
                .extracting(ExitReport::reason, ExitReport::detail)
                .containsExactly(ExitReason.RESET, "i8042");
        assertThat(run(
                        Mode.PROTECTED,
                        program -> program.outb(0xcf9, 2).outb(0xcf9, 6).haltForEver()))
                .extracting(ExitReport::reason, ExitReport::detail)
                .containsExactly(ExitReason.RESET, "port 0xcf9");
        assertThat(run(Mode.LONG, program -> program.outb(0x92, 3).haltForEver()))
                .extracting(ExitReport::reason, ExitReport::detail)
                .containsExactly(ExitReason.RESET, "port 0x92");
    }

    @Test
    void pvpanic_is_a_panic() throws Exception {
        ExitReport report =
                run(Mode.REAL, program -> program.print("oops").outb(0x505, 1).haltForEver());
        assertThat(report.reason()).isEqualTo(ExitReason.PANIC);
        assertThat(report.detail()).isEqualTo("pvpanic");
        assertThat(report.lastConsoleLines()).containsExactly("oops");
    }

    @Test
    void a_panic_with_a_crash_kernel_goes_on_so_that_it_can_write_its_dump() throws Exception {
        ExitReport report = run(
                Mode.REAL, program -> program.outb(0x505, 2).outb(0x64, 0xfe).haltForEver());
        assertThat(report.reason()).isEqualTo(ExitReason.RESET);
    }

    @Test
    void without_debug_exit_the_port_does_nothing_and_an_unclaimed_access_is_counted() throws Exception {
        GuestProgram program = new GuestProgram(Mode.LONG)
                .outb(0xf4, 1)
                .bytes(0xa1, 0, 0, 0, 0xdf, 0, 0, 0, 0) // MOV EAX, [0xdf000000]: in the hole, no device there
                .outw(PM1A_CONTROL, S5_AND_SLEEP_ENABLE)
                .haltForEver();
        try (MicroVm vm = vm(program).start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.reason()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(report.debugExitCode()).isEmpty();
            assertThat(vm.statistics().unclaimedPorts()).isEqualTo(1);
            assertThat(vm.statistics().unclaimedMemory()).isEqualTo(1);
            assertThat(vm.statistics().exits()).containsEntry("KVM_EXIT_IO", 2L).containsEntry("KVM_EXIT_MMIO", 1L);
        }
    }

    @ParameterizedTest
    @EnumSource
    void a_program_that_hangs_runs_until_it_is_killed(Mode mode) throws Exception {
        try (MicroVm vm = vm(new GuestProgram(mode).print("!").spin()).start()) {
            assertThat(console.awaitText("!", LIMIT)).isTrue();
            assertThat(vm.await(Duration.ofMillis(50))).isEmpty();
            assertThat(vm.state()).isEqualTo(VmState.RUNNING);
            vm.kill();
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.reason()).isEqualTo(ExitReason.KILLED);
            assertThat(report.detail()).isEqualTo("killed by the host");
            assertThat(report.lastConsoleLines()).containsExactly("!");
        }
    }

    @Test
    void a_halted_program_obeys_neither_button_nor_agent_and_stop_kills_it_at_its_deadline() throws Exception {
        try (MicroVm vm =
                vm(new GuestProgram(Mode.REAL).print("!").haltForEver()).start()) {
            assertThat(console.awaitText("!", LIMIT)).isTrue();
            long begin = System.nanoTime();
            ExitReport report = vm.stop(Duration.ofMillis(200));
            assertThat(report.reason()).isEqualTo(ExitReason.KILLED);
            assertThat(report.detail()).isEqualTo("did not power off within 200 ms");
            assertThat(System.nanoTime() - begin).isBetween(200_000_000L, LIMIT.toNanos());
        }
    }

    @Test
    void every_vcpu_but_the_first_waits_for_its_start_up_interrupt() throws Exception {
        GuestProgram program = new GuestProgram(Mode.REAL).print("x").debugExit(0);
        try (MicroVm vm = vm(program).vcpus(3).debugExit(true).start()) {
            assertThat(vm.await(LIMIT).orElseThrow().debugExitCode()).hasValue(0);
            assertThat(console.text()).isEqualTo("x");
        }
    }
}
