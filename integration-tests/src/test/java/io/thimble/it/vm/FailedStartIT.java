package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestProgram;
import io.thimble.it.support.GuestProgram.Mode;
import io.thimble.it.support.HostLimit;
import io.thimble.it.support.HostResources;
import io.thimble.kvm.KvmException;
import io.thimble.linux.HostMemory;
import io.thimble.linux.LinuxException;
import io.thimble.linux.abi.Errnos;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.VmState;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A VM that fails to start, at whatever step, says why in one line, is STOPPED and leaves nothing. */
@RequiresKvm
@Timeout(60)
class FailedStartIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(20));
    private static final long GIB = 1L << 30;

    @TempDir
    private Path directory;

    private MicroVmBuilder ending() {
        return MicroVm.builder()
                .kernel(new GuestProgram(Mode.REAL).outb(0x92, 1).haltForEver().in(directory))
                .console(new ConsoleText());
    }

    /** What a start uses once stays: classes, the logger, the kick handler. */
    @BeforeEach
    void warmUp() throws InterruptedException {
        try (MicroVm vm = ending().vcpus(2).start()) {
            assertThat(vm.await(LIMIT).orElseThrow().reason()).isEqualTo(ExitReason.RESET);
        }
        HostResources.now();
        assertThat(new LinuxException("warm up", Errnos.EMFILE).getMessage()).contains("EMFILE");
        assertThat(new KvmException("warm up", Errnos.EMFILE).getMessage()).contains("EMFILE");
    }

    private static MicroVmException assertRefused(MicroVmBuilder builder, Problem problem) {
        HostResources before = HostResources.now();
        MicroVm vm = builder.build();
        MicroVmException e = assertThatExceptionOfType(MicroVmException.class)
                .isThrownBy(vm::start)
                .actual();
        assertThat(e.problem()).as(e.getMessage()).isEqualTo(problem);
        assertThat(e.getMessage()).isNotBlank().doesNotContain("\n");
        assertThat(vm.state()).isEqualTo(VmState.STOPPED);
        assertThat(HostResources.now()).isEqualTo(before);
        assertThatExceptionOfType(IllegalStateException.class).isThrownBy(vm::start);
        assertThatExceptionOfType(IllegalStateException.class).isThrownBy(vm::await);
        vm.close();
        assertThat(HostResources.now()).isEqualTo(before);
        return e;
    }

    @Test
    void wrong_files_command_lines_and_sizes() {
        MicroVmBuilder linux = MicroVm.builder().vcpus(2).console(new ConsoleText());
        assertRefused(linux.kernel(GuestKernel.file(directory.resolve("missing"))), Problem.BOOT_FILES);
        linux = MicroVm.builder().vcpus(2).console(new ConsoleText());
        assertRefused(linux.append("x".repeat(4096)), Problem.BOOT_FILES);
        linux = MicroVm.builder().vcpus(2).console(new ConsoleText());
        assertRefused(linux.memory(16 << 20), Problem.MEMORY);
        linux = MicroVm.builder().vcpus(2).console(new ConsoleText());
        assertRefused(linux.hostname("x".repeat(65)), Problem.CONFIGURATION);
        assertRefused(
                ending().kernel(GuestKernel.longMode(directory.resolve("missing"), 0x100000)), Problem.BOOT_FILES);
        assertRefused(
                ending().memory(16 << 20)
                        .kernel(new GuestProgram(Mode.LONG).spin().in(directory, 0x1000_0000)),
                Problem.MEMORY);
    }

    @Test
    void every_descriptor_that_the_host_can_refuse_is_refused_in_turn(TestReporter reporter) throws Exception {
        Set<String> messages = new HashSet<>();
        boolean started = false;
        List<Integer> needed = new ArrayList<>();
        for (int room = 0; !started; room++) {
            assertThat(room).isLessThan(50);
            HostResources before = HostResources.now();
            MicroVm vm = ending().vcpus(3).build();
            MicroVmException refusal = null;
            try (HostLimit _ = HostLimit.descriptors(room)) {
                vm.start();
                started = true;
            } catch (MicroVmException e) {
                refusal = e;
            }
            if (refusal != null) {
                assertThat(refusal.problem()).isIn(Problem.HOST, Problem.KVM, Problem.BOOT_FILES);
                assertThat(refusal.getMessage())
                        .contains("Too many open files")
                        .doesNotContain("\n")
                        .doesNotContain("Exception");
                assertThat(vm.state()).isEqualTo(VmState.STOPPED);
                assertThat(HostResources.now()).as("with room for %d", room).isEqualTo(before);
                messages.add(refusal.getMessage());
                needed.add(room);
            }
            vm.close();
            assertThat(HostResources.now()).isEqualTo(before);
        }
        reporter.publishEntry("refusals", needed.size() + ": " + messages);
        assertThat(needed).hasSizeGreaterThanOrEqualTo(8); // eventfd, epoll, program, /dev/kvm, VM, three vCPUs
    }

    /** As a busy host's: the thread that feeds the console is not at its end when it is asked to be. */
    @Test
    void a_console_whose_thread_takes_a_moment_to_end_has_ended_too() {
        CountDownLatch never = new CountDownLatch(1);
        OutputStream slow = new OutputStream() {
            @Override
            public void write(int character) {}

            @Override
            public void flush() throws IOException {
                try {
                    boolean _ = never.await(200, TimeUnit.MILLISECONDS);
                } catch (InterruptedException e) {
                    throw new InterruptedIOException(e.getMessage());
                }
            }
        };
        assertRefused(
                MicroVm.builder().console(slow).kernel(GuestKernel.file(directory.resolve("missing"))),
                Problem.BOOT_FILES);
    }

    @Test
    void memory_that_the_host_does_not_give() {
        MicroVmBuilder builder = ending().memory(64 * GIB);
        try (HostLimit _ = HostLimit.addressSpace(2 * GIB)) {
            assertThat(assertRefused(builder, Problem.MEMORY).getMessage())
                    .contains("65536 MiB")
                    .contains("ENOMEM");
        }
    }

    @Test
    void memory_to_be_taken_at_once_that_the_host_has_not_is_refused_before_the_host_runs_out_of_it() {
        long size = HostMemory.available() / GIB * GIB + 2 * GIB;
        assertThat(assertRefused(ending().memory(size).prefault(true), Problem.MEMORY))
                .hasMessageContaining("MiB available");
    }
}
