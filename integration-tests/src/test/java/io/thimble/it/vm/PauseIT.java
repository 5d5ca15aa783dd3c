package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestProgram;
import io.thimble.it.support.GuestProgram.Mode;
import io.thimble.it.support.HostResources;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.VmState;
import io.thimble.vmm.VmStatistics;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Pause and resume: nothing of the guest runs in between, nothing is lost, and no order of calls hangs. */
@RequiresKvm
@Timeout(180)
class PauseIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));

    @TempDir
    private Path directory;

    @Test
    void a_hundred_pauses_under_load_change_no_result(TestReporter reporter) throws Exception {
        // Long enough that the load lasts for all pauses, also when this thread is late to pause.
        int lines = HostKvm.isEmulated() ? 1_200_000 : 8_000_000;
        String script = """
                echo started
                sum() { yes "thimble $1" | head -c %d | md5sum; }
                sum 0 & sum 1
                wait
                """.formatted(10L * lines);
        ConsoleText console = new ConsoleText();
        long pausing = 0;
        int pauses = 0;
        try (MicroVm vm = MicroVm.builder()
                .vcpus(2)
                .console(console)
                .command("sh", "-c", script)
                .start()) {
            assertThat(console.awaitText("started\n", LIMIT)).isTrue();
            while (pauses < 100) {
                long begin = System.nanoTime();
                vm.pause();
                pausing += System.nanoTime() - begin;
                pauses++;
                assertThat(vm.state()).isEqualTo(VmState.PAUSED);
                VmStatistics statistics = vm.statistics();
                assertThat(vm.await(Duration.ofMillis(1))).isEmpty();
                assertThat(vm.statistics()).isEqualTo(statistics);
                vm.resume();
                assertThat(vm.await(Duration.ofMillis(2)))
                        .as("the load lasts for all pauses")
                        .isEmpty();
            }
            assertThat(vm.await(LIMIT).orElseThrow().commandStatus()).hasValue(0);
        }
        for (int i = 0; i < 2; i++) {
            String text = ("thimble " + i + "\n").repeat(lines);
            assertThat(console.text()).contains(Checksums.md5(text));
        }
        reporter.publishEntry("mean time to pause 2 busy vCPUs", pausing / pauses / 1000 + " us");
    }

    @Test
    void a_paused_guest_uses_no_processor_and_changes_no_memory() throws Exception {
        // It counts in memory and tells the count's low byte on a port that nobody has: each tells that it runs.
        GuestProgram program = new GuestProgram(Mode.LONG).bytes(0x66, 0xba, 0x00, 0x02); // MOV DX, 0x200
        int loop = program.here();
        program.bytes(0xff, 0x04, 0x25, 0x00, 0x20, 0, 0); // INC DWORD [0x2000]
        program.bytes(0x8a, 0x04, 0x25, 0x00, 0x20, 0, 0, 0xee).jump(loop); // MOV AL, [0x2000]; OUT DX, AL
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        try (MicroVm vm =
                MicroVm.builder().name("counting").kernel(program.in(directory)).start()) {
            for (int round = 0; round < 100; round++) {
                long running = vm.statistics().unclaimedPorts();
                while (vm.statistics().unclaimedPorts() < running + 10) {
                    Thread.onSpinWait();
                }
                vm.pause();
                long paused = vm.statistics().unclaimedPorts();
                long cpuTime = cpuTime(threads);
                assertThat(vm.await(Duration.ofMillis(1))).isEmpty();
                assertThat(vm.statistics().unclaimedPorts()).isEqualTo(paused);
                assertThat(cpuTime(threads) - cpuTime).isLessThan(500_000);
                vm.resume();
            }
        }
    }

    private static long cpuTime(ThreadMXBean threads) {
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().equals("thimble-counting-vcpu0")) {
                return threads.getThreadCpuTime(thread.threadId());
            }
        }
        throw new AssertionError("no vCPU thread");
    }

    @Test
    void a_halted_guest_and_vcpus_that_never_started_can_be_paused() throws Exception {
        try (MicroVm vm = MicroVm.builder()
                .kernel(new GuestProgram(Mode.REAL).haltForEver().in(directory))
                .vcpus(4)
                .start()) {
            for (int round = 0; round < 50; round++) {
                vm.pause();
                vm.resume();
            }
            assertThat(vm.state()).isEqualTo(VmState.RUNNING);
        }
    }

    @Test
    void what_is_typed_while_paused_arrives_after() throws Exception {
        ConsoleText console = new ConsoleText();
        GuestProgram program = new GuestProgram(Mode.REAL).listen().print(">").readConsole();
        program.outAl(GuestProgram.COM1).debugExit(3);
        try (MicroVm vm = MicroVm.builder()
                .kernel(program.in(directory))
                .debugExit(true)
                .console(console)
                .start()) {
            assertThat(console.awaitText(">", LIMIT)).isTrue();
            vm.pause();
            assertThat(vm.type(new byte[] {'k'}, 0, 1)).isEqualTo(1);
            assertThat(vm.await(Duration.ofMillis(20))).isEmpty();
            vm.resume();
            assertThat(vm.await(LIMIT).orElseThrow().debugExitCode()).hasValue(3);
            assertThat(console.text()).isEqualTo(">k");
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void random_calls_from_several_threads_neither_hang_nor_leave_anything(long seed) throws Exception {
        GuestProgram program = new GuestProgram(Mode.PROTECTED).print("!");
        program.countForEver(0x2000);
        var kernel = program.in(directory);
        MicroVm.builder().kernel(kernel).start().close();
        HostResources before = HostResources.now();
        SplittableRandom random = new SplittableRandom(seed);
        for (int round = 0; round < 20; round++) {
            String name = "seed" + seed + "-round" + round;
            MicroVm vm = MicroVm.builder()
                    .name(name)
                    .kernel(kernel)
                    .vcpus(1 + random.nextInt(3))
                    .console(new ConsoleText())
                    .build();
            List<FutureTask<Boolean>> running = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                SplittableRandom own = random.split();
                boolean starts = i == 0;
                FutureTask<Boolean> task = new FutureTask<>(() -> {
                    if (starts) {
                        call(vm, -1);
                    }
                    for (int step = 0; step < 30; step++) {
                        call(vm, own.nextInt(100));
                    }
                    return true;
                });
                running.add(task);
                Thread.ofPlatform().daemon().name("caller" + i).start(task);
            }
            for (FutureTask<Boolean> task : running) {
                assertThat(task.get(LIMIT.toSeconds(), TimeUnit.SECONDS))
                        .as(name)
                        .isTrue();
            }
            vm.close();
            assertThat(vm.state()).as(name).isEqualTo(VmState.STOPPED);
            assertThat(HostResources.now().threads()).as(name).isEqualTo(before.threads());
            assertThat(HostResources.now().descriptors()).as(name).isEqualTo(before.descriptors());
            assertThat(HostResources.now().mappings()).as(name).isEqualTo(before.mappings());
        }
    }

    /** Makes one call; that it is refused in the state it meets is right. */
    private static void call(MicroVm vm, int choice) throws InterruptedException {
        try {
            if (choice < 0) {
                vm.start();
            } else if (choice < 30) {
                vm.pause();
            } else if (choice < 60) {
                vm.resume();
            } else if (choice < 70) {
                vm.type(new byte[3], 0, 3);
            } else if (choice < 80) {
                assertThat(vm.statistics().totalExits()).isNotNegative();
            } else if (choice < 88) {
                vm.pressPowerButton();
            } else if (choice < 96) {
                vm.await(Duration.ofNanos(200_000))
                        .ifPresent(report -> assertThat(report.reason()).isEqualTo(ExitReason.KILLED));
            } else if (choice < 98) {
                assertThat(vm.stop(Duration.ofMillis(2)).reason()).isEqualTo(ExitReason.KILLED);
            } else if (choice == 98) {
                vm.kill();
            } else {
                vm.close();
            }
        } catch (IllegalStateException e) {
            assertThat(e.getMessage())
                    .doesNotContain("\n")
                    .containsAnyOf("is ", "was never", "never ran", "ended before");
        }
    }

    @Test
    void a_linux_guest_paused_and_stopped_by_others_meanwhile_ends() throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = MicroVm.builder()
                .vcpus(2)
                .console(console)
                .command("sh", "-c", "echo here; while :; do :; done")
                .start()) {
            assertThat(console.awaitText("here\n", LinuxVm.LIMIT)).isTrue();
            FutureTask<Boolean> pauser = new FutureTask<>(() -> {
                while (vm.state() != VmState.STOPPED) {
                    try {
                        vm.pause();
                        vm.resume();
                    } catch (IllegalStateException e) {
                        assertThat(e.getMessage()).containsAnyOf("STOPPED", "ended before");
                    }
                }
                return true;
            });
            Thread.ofPlatform().daemon().start(pauser);
            assertThat(vm.stop(LinuxVm.LIMIT).reason()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(pauser.get(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
        }
    }
}
