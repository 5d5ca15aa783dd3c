package io.thimble.vmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.InstanceOfAssertFactories.type;

import io.thimble.vmm.MicroVmException.Problem;
import java.nio.file.Path;
import java.time.Duration;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MicroVmBuilderTest {
    private static void assertRefused(Problem problem, String text, ThrowingCallable call) {
        assertThatThrownBy(call)
                .asInstanceOf(type(MicroVmException.class))
                .satisfies(e -> assertThat(e.problem()).isEqualTo(problem))
                .satisfies(e -> assertThat(e.getMessage()).contains(text).doesNotContain("\n"));
    }

    @ParameterizedTest
    @ValueSource(ints = {Integer.MIN_VALUE, -1, 0, 255, 1000})
    void refuses_vcpus_out_of_range_with_the_reason(int vcpus) {
        assertRefused(Problem.VCPUS, "1 to 254", () -> MicroVm.builder().vcpus(vcpus));
    }

    @ParameterizedTest
    @ValueSource(longs = {Long.MIN_VALUE, -1, 0, 15L << 20, (16L << 20) + 1, (1L << 40) + (1L << 20)})
    void refuses_memory_out_of_range_or_in_fractions_of_a_mebibyte(long bytes) {
        assertRefused(Problem.MEMORY, "16 MiB to 1 TiB", () -> MicroVm.builder().memory(bytes));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "a b", "-x", "a/b", "\n", "äöü"})
    void refuses_names_that_would_not_do_in_a_thread_or_file_name(String name) {
        assertRefused(Problem.CONFIGURATION, "name", () -> MicroVm.builder().name(name));
    }

    @Test
    void refuses_linux_options_for_a_flat_program() {
        GuestKernel flat = GuestKernel.realMode(Path.of("program"), 0, 0x1000);
        assertRefused(
                Problem.CONFIGURATION,
                "flat program",
                () -> MicroVm.builder().kernel(flat).command("true").build());
        assertRefused(
                Problem.CONFIGURATION,
                "flat program",
                () -> MicroVm.builder().kernel(flat).append("quiet").build());
    }

    @Test
    void refuses_a_console_buffer_without_room() {
        assertRefused(
                Problem.CONFIGURATION,
                "at least 1",
                () -> MicroVm.builder().consoleBuffer(SlowReaderPolicy.DROP_OLDEST, 0));
    }

    @Test
    void names_vms_differently_by_default() {
        assertThat(MicroVm.builder().build().name())
                .isNotEqualTo(MicroVm.builder().build().name());
    }

    @Test
    void a_vm_that_was_never_started_holds_nothing_and_says_so() throws InterruptedException {
        MicroVm vm = MicroVm.builder().name("unstarted").build();
        assertThat(vm.state()).isEqualTo(VmState.CREATED);
        assertThatThrownBy(vm::await).isInstanceOf(IllegalStateException.class).hasMessageContaining("never started");
        assertThatThrownBy(vm::pause).isInstanceOf(IllegalStateException.class).hasMessageContaining("CREATED");
        assertThatThrownBy(() -> vm.stop(Duration.ofSeconds(1))).isInstanceOf(IllegalStateException.class);
        assertThat(vm.awaitReady(Duration.ZERO)).isFalse();
        vm.close();
        vm.close();
        assertThat(vm.state()).isEqualTo(VmState.STOPPED);
        assertThatThrownBy(vm::start).isInstanceOf(IllegalStateException.class).hasMessageContaining("STOPPED");
    }

    @Test
    void a_missing_kernel_is_one_line_and_leaves_the_vm_stopped() {
        MicroVm vm = MicroVm.builder()
                .kernel(GuestKernel.file(Path.of("/nonexistent/vmlinux")))
                .build();
        assertRefused(Problem.BOOT_FILES, "/nonexistent/vmlinux", vm::start);
        assertThat(vm.state()).isEqualTo(VmState.STOPPED);
    }
}
