package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestProgram;
import io.thimble.it.support.GuestProgram.Mode;
import io.thimble.it.support.HostResources;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.SlowReaderPolicy;
import io.thimble.vmm.VmListener;
import io.thimble.vmm.VmState;
import java.io.ByteArrayInputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What each method does in each state, from any thread: the answer is a refusal or an end, never a hang or a leak. */
@RequiresKvm
@Timeout(60)
class LifeCycleIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(20));
    private static final byte[] ONE = {'x'};

    @TempDir
    private Path directory;

    private GuestKernel spinning;
    private HostResources before;

    @BeforeEach
    void warmUp() throws InterruptedException {
        spinning = new GuestProgram(Mode.REAL).print("!").spin().in(directory);
        try (MicroVm vm = spinning().start()) {
            vm.kill();
            vm.await();
        }
        before = HostResources.now();
    }

    private MicroVmBuilder spinning() {
        return MicroVm.builder().kernel(spinning).memory(16 << 20).vcpus(2).console(new ConsoleText());
    }

    private void assertNothingLeft() {
        HostResources now = HostResources.now();
        assertThat(now.threads()).isEqualTo(before.threads());
        assertThat(now.descriptors()).isEqualTo(before.descriptors());
        assertThat(now.mappings()).isEqualTo(before.mappings());
    }

    private static void assertIllegal(String inMessage, ThrowingRunnable call) {
        assertThatExceptionOfType(IllegalStateException.class)
                .isThrownBy(call::run)
                .satisfies(e -> assertThat(e.getMessage()).contains(inMessage).doesNotContain("\n"));
    }

    private interface ThrowingRunnable {
        void run() throws Exception;
    }

    private static void onThread(List<Future<?>> running, ThrowingRunnable task) {
        FutureTask<Boolean> future = new FutureTask<>(() -> {
            task.run();
            return true;
        });
        running.add(future);
        Thread.ofPlatform().daemon().start(future);
    }

    private static void join(List<Future<?>> running) throws Exception {
        for (Future<?> future : running) {
            future.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
        }
    }

    @Test
    void before_the_start_only_start_kill_and_close_make_sense() throws Exception {
        MicroVm vm = spinning().name("fresh").build();
        assertThat(vm.state()).isEqualTo(VmState.CREATED);
        assertThat(vm.toString()).isEqualTo("MicroVm fresh (CREATED)");
        assertIllegal("fresh is CREATED: cannot pause it", vm::pause);
        assertIllegal("fresh is CREATED: cannot resume it", vm::resume);
        assertIllegal("fresh was never started", () -> vm.stop(LIMIT));
        assertIllegal("fresh was never started", vm::await);
        assertIllegal("fresh was never started", () -> vm.await(LIMIT));
        assertIllegal("fresh is CREATED", () -> vm.type(ONE, 0, 1));
        assertIllegal("fresh is CREATED", vm::pressPowerButton);
        assertIllegal("fresh is CREATED", vm::pressCtrlAltDel);
        assertIllegal("fresh is CREATED", () -> vm.setWindowSize(1, 1));
        assertThat(vm.statistics().totalExits()).isZero();
        assertThat(vm.timeline().marks()).isEmpty();
        assertThat(vm.awaitReady(Duration.ZERO)).isFalse();
        vm.kill();
        assertThat(vm.state()).isEqualTo(VmState.STOPPED);
        assertThat(vm.awaitReady(LIMIT)).isFalse();
        assertIllegal("fresh is STOPPED: a VM starts once", vm::start);
        assertIllegal("fresh never ran", vm::await);
        assertIllegal("fresh never ran", () -> vm.stop(LIMIT));
        vm.close();
        assertNothingLeft();
    }

    @Test
    void a_running_and_a_paused_vm_take_everything_but_another_start() throws Exception {
        try (MicroVm vm = spinning().name("busy").start()) {
            for (VmState state : List.of(VmState.RUNNING, VmState.PAUSED)) {
                assertThat(vm.state()).isEqualTo(state);
                assertIllegal("busy is " + state, vm::start);
                assertThat(vm.await(Duration.ZERO)).isEmpty();
                assertThat(vm.await(Duration.ofSeconds(-5))).isEmpty();
                assertThat(vm.awaitReady(Duration.ZERO)).isFalse();
                assertThat(vm.type(ONE, 0, 1)).isEqualTo(1);
                vm.pressPowerButton();
                vm.pressCtrlAltDel();
                vm.setWindowSize(25, 80);
                vm.pause();
                vm.pause();
                assertThat(vm.state()).isEqualTo(VmState.PAUSED);
            }
            vm.resume();
            vm.resume();
            assertThat(vm.state()).isEqualTo(VmState.RUNNING);
        }
        assertNothingLeft();
    }

    @Test
    void a_stopped_vm_keeps_its_report_and_refuses_the_rest() throws Exception {
        ConsoleText console = new ConsoleText();
        MicroVm vm = spinning().name("done").console(console).start();
        assertThat(console.awaitText("!", LIMIT)).isTrue();
        vm.kill();
        ExitReport report = vm.await();
        vm.kill();
        assertThat(vm.state()).isEqualTo(VmState.STOPPED);
        assertThat(vm.await()).isEqualTo(report);
        assertThat(vm.await(Duration.ZERO)).contains(report);
        assertThat(vm.stop(Duration.ZERO)).isEqualTo(report);
        assertIllegal("done is STOPPED: a VM starts once", vm::start);
        assertIllegal("done is STOPPED: cannot pause it", vm::pause);
        assertIllegal("done is STOPPED: cannot resume it", vm::resume);
        assertIllegal("done is STOPPED", () -> vm.type(ONE, 0, 1));
        assertIllegal("done is STOPPED", vm::pressPowerButton);
        assertIllegal("done is STOPPED", vm::pressCtrlAltDel);
        assertIllegal("done is STOPPED", () -> vm.setWindowSize(1, 1));
        assertThat(vm.statistics().exits()).containsEntry("KVM_EXIT_IO", 1L);
        assertThat(vm.timeline().marks()).isNotEmpty();
        vm.close();
        assertThat(vm.await()).isEqualTo(report);
        assertNothingLeft();
    }

    @Test
    void deadlines_beyond_all_clocks_and_in_the_past_are_deadlines() throws Exception {
        Duration forEver = ChronoUnit.FOREVER.getDuration();
        try (MicroVm vm = spinning().start()) {
            Future<?> killed = CompletableFuture.runAsync(vm::kill);
            assertThat(vm.await(forEver).orElseThrow().reason()).isEqualTo(ExitReason.KILLED);
            assertThat(vm.awaitReady(forEver)).isFalse();
            killed.get();
        }
        try (MicroVm vm = spinning().start()) {
            assertThat(vm.stop(Duration.ofSeconds(-1)).reason()).isEqualTo(ExitReason.KILLED);
        }
        try (MicroVm vm = spinning().start()) {
            Future<?> killed = CompletableFuture.runAsync(vm::kill);
            assertThat(vm.stop(forEver).reason()).isEqualTo(ExitReason.KILLED);
            killed.get();
        }
    }

    @Test
    void an_interrupted_waiter_leaves_the_vm_alone() throws Exception {
        MicroVm vm = spinning().start();
        Thread.currentThread().interrupt();
        assertThatExceptionOfType(InterruptedException.class).isThrownBy(vm::await);
        Thread.currentThread().interrupt();
        assertThatExceptionOfType(InterruptedException.class).isThrownBy(() -> vm.await(LIMIT));
        Thread.currentThread().interrupt();
        vm.pause();
        assertThat(vm.state()).isEqualTo(VmState.PAUSED);
        vm.close();
        assertThat(Thread.interrupted())
                .as("close keeps the interrupt for the caller")
                .isTrue();
        assertNothingLeft();
    }

    @Test
    void many_threads_may_close_and_kill_at_once() throws Exception {
        for (int round = 0; round < 10; round++) {
            MicroVm vm = spinning().start();
            if (round % 2 == 0) {
                vm.pause();
            }
            CountDownLatch go = new CountDownLatch(1);
            List<Future<?>> running = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                int number = i;
                onThread(running, () -> {
                    go.await();
                    if (number % 2 == 0) {
                        vm.close();
                        assertThat(vm.state()).isEqualTo(VmState.STOPPED);
                    } else {
                        vm.kill();
                        assertThat(vm.await(LIMIT).orElseThrow().reason()).isEqualTo(ExitReason.KILLED);
                    }
                });
            }
            go.countDown();
            join(running);
            assertNothingLeft();
        }
    }

    @Test
    void of_many_that_start_it_one_succeeds() throws Exception {
        MicroVm vm = spinning().build();
        CountDownLatch go = new CountDownLatch(1);
        List<CompletableFuture<Boolean>> starts = new ArrayList<>();
        List<Future<?>> running = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            CompletableFuture<Boolean> started = new CompletableFuture<>();
            starts.add(started);
            onThread(running, () -> {
                go.await();
                try {
                    vm.start();
                    started.complete(true);
                } catch (IllegalStateException e) {
                    started.complete(false);
                }
            });
        }
        go.countDown();
        join(running);
        assertThat(starts.stream().filter(CompletableFuture::join)).hasSize(1);
        assertThat(vm.state()).isEqualTo(VmState.RUNNING);
        vm.close();
        assertNothingLeft();
    }

    @Test
    void a_kill_or_close_during_the_start_ends_the_vm_and_leaves_nothing() throws Exception {
        for (int round = 0; round < 40; round++) {
            MicroVm vm = spinning().vcpus(4).build();
            CountDownLatch go = new CountDownLatch(1);
            List<Future<?>> running = new ArrayList<>();
            boolean close = round % 2 == 0;
            int lead = round * 25_000; // nanoseconds: a start takes about a millisecond
            onThread(running, () -> {
                go.await();
                for (long end = System.nanoTime() + lead; System.nanoTime() < end; ) {
                    Thread.onSpinWait();
                }
                if (close) {
                    vm.close();
                } else {
                    vm.kill();
                }
            });
            go.countDown();
            try {
                vm.start();
                assertThat(vm.await(LIMIT).orElseThrow().reason()).isEqualTo(ExitReason.KILLED);
            } catch (IllegalStateException e) {
                assertThat(e).hasMessageContaining("STOPPED: a VM starts once");
            }
            join(running);
            assertThat(vm.state()).isEqualTo(VmState.STOPPED);
            assertNothingLeft();
        }
    }

    @Test
    void a_kill_while_many_vcpus_are_being_started_ends_them_all() throws Exception {
        for (int round = 0; round < 8; round++) {
            CompletableFuture<MicroVm> self = new CompletableFuture<>();
            MicroVm vm = spinning()
                    .vcpus(32)
                    .listener(new VmListener() {
                        @Override
                        public void stateChanged(VmState state) {
                            if (state == VmState.RUNNING) {
                                self.join().kill();
                            }
                        }
                    })
                    .build();
            self.complete(vm);
            vm.start();
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.KILLED);
            assertNothingLeft();
        }
    }

    @Test
    void a_listener_may_do_anything_with_its_vm() throws Exception {
        Consumer<MicroVm> pauseAndResume = vm -> {
            vm.pause();
            vm.resume();
            vm.kill();
        };
        Consumer<MicroVm> stop = vm -> {
            try {
                assertThat(vm.stop(Duration.ofMillis(1)).reason()).isEqualTo(ExitReason.KILLED);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        };
        for (Consumer<MicroVm> action : List.of(MicroVm::kill, MicroVm::close, pauseAndResume, stop)) {
            for (int round = 0; round < 10; round++) {
                CompletableFuture<MicroVm> self = new CompletableFuture<>();
                CompletableFuture<Boolean> done = new CompletableFuture<>();
                MicroVm vm = spinning()
                        .listener(new VmListener() {
                            @Override
                            public void stateChanged(VmState state) {
                                if (state == VmState.RUNNING && !done.isDone()) {
                                    try {
                                        action.accept(self.join());
                                        done.complete(true);
                                    } catch (RuntimeException | Error e) {
                                        done.completeExceptionally(e);
                                    }
                                }
                            }
                        })
                        .build();
                self.complete(vm);
                vm.start();
                assertThat(vm.await(LIMIT).orElseThrow().reason()).isEqualTo(ExitReason.KILLED);
                assertThat(done.get(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
                assertNothingLeft();
            }
        }
    }

    @Test
    void wrong_values_are_refused_by_the_method_that_takes_them() {
        MicroVmBuilder builder = MicroVm.builder();
        assertRefused(Problem.VCPUS, "0 vCPUs", () -> builder.vcpus(0));
        assertRefused(Problem.VCPUS, "255 vCPUs", () -> builder.vcpus(255));
        assertRefused(Problem.MEMORY, "16 MiB", () -> builder.memory(0));
        assertRefused(Problem.MEMORY, "16 MiB", () -> builder.memory((16 << 20) + 1));
        assertRefused(Problem.MEMORY, "1 TiB", () -> builder.memory((1L << 40) + (1 << 20)));
        assertRefused(Problem.CONFIGURATION, "a/b", () -> builder.name("a/b"));
        assertRefused(Problem.CONFIGURATION, "0 bytes", () -> builder.consoleBuffer(SlowReaderPolicy.HOLD_BACK, 0));
        assertRefused(
                Problem.CONFIGURATION,
                "flat program",
                () -> MicroVm.builder().kernel(spinning).command("x").build());
        assertIllegal("input stream", () -> {
            try (MicroVm vm = spinning()
                    .consoleInput(new ByteArrayInputStream(new byte[0]))
                    .start()) {
                vm.type(ONE, 0, 1);
            }
        });
    }

    private static void assertRefused(Problem problem, String inMessage, ThrowingRunnable call) {
        assertThatExceptionOfType(MicroVmException.class)
                .isThrownBy(call::run)
                .satisfies(e -> assertThat(e.problem()).isEqualTo(problem))
                .satisfies(e -> assertThat(e.getMessage()).contains(inMessage).doesNotContain("\n"));
    }
}
