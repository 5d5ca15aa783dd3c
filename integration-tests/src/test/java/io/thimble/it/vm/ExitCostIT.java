package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.HotSpotDiagnosticMXBean;
import com.sun.management.ThreadMXBean;
import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.GuestProgram;
import io.thimble.it.support.GuestProgram.Mode;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.VmListener;
import io.thimble.vmm.VmStatistics;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What leaving the guest costs: nothing on the heap, and few exits until init runs. */
@RequiresKvm
@Timeout(180)
class ExitCostIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofMinutes(2));
    private static final long WARM_UP = 20_000;
    private static final long MEASURED = 30_000;

    /** The bound for a boot to init: quiet, bundled kernel, one vCPU. */
    private static final long MOST_EXITS_TO_INIT = 1_500;

    @TempDir
    Path directory;

    @Test
    void port_and_memory_accesses_allocate_nothing() throws Exception {
        assumeTrue(hasC2(), "without C2 nothing keeps short-lived objects off the heap");
        GuestProgram program = new GuestProgram(Mode.LONG);
        int loop = program.here();
        program.bytes(0xe6, 0x80) // OUT 0x80, AL: the POST code port
                .bytes(0xe4, 0x64) // IN AL, 0x64: the keyboard controller's status
                .bytes(0xa1, 0, 0xf0, 0xff, 0xcf, 0, 0, 0, 0) // MOV EAX, [0xcffff000]: nobody's
                .jump(loop);
        try (MicroVm vm = MicroVm.builder()
                .name("exit-cost")
                .kernel(program.in(directory))
                .start()) {
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long vcpu = Thread.getAllStackTraces().keySet().stream()
                    .filter(thread -> thread.getName().equals("thimble-exit-cost-vcpu0"))
                    .findFirst()
                    .orElseThrow()
                    .threadId();
            awaitExits(vm, WARM_UP);
            long exitsBefore = vm.statistics().totalExits();
            long bytesBefore = threads.getThreadAllocatedBytes(vcpu);
            awaitExits(vm, exitsBefore + MEASURED);
            long bytes = threads.getThreadAllocatedBytes(vcpu) - bytesBefore;
            System.out.println(bytes + " bytes on the heap in " + MEASURED + " exits");
            assertThat(bytes).isLessThan(MEASURED / 2);

            Duration inKvmRun = vm.statistics().inKvmRun().getFirst();
            assertThat(inKvmRun).isPositive();
        }
    }

    private static boolean hasC2() {
        return ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
                .getVMOption("TieredStopAtLevel")
                .getValue()
                .equals("4");
    }

    private static void awaitExits(MicroVm vm, long count) throws InterruptedException {
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (vm.statistics().totalExits() < count) {
            assertThat(System.nanoTime()).as("exits: " + vm.statistics()).isLessThan(deadline);
            assertThat(vm.await(Duration.ofMillis(10))).isEmpty();
        }
    }

    @Test
    void a_boot_to_init_takes_few_exits() throws Exception {
        CompletableFuture<VmStatistics> atInit = new CompletableFuture<>();
        MicroVm[] holder = new MicroVm[1];
        try (MicroVm vm = MicroVm.builder()
                .listener(new VmListener() {
                    @Override
                    public void ready() {
                        atInit.complete(holder[0].statistics());
                    }
                })
                .command("true")
                .build()) {
            holder[0] = vm;
            vm.start();
            VmStatistics statistics = atInit.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
            System.out.println(statistics);
            assertThat(statistics.totalExits()).isPositive().isLessThan(MOST_EXITS_TO_INIT);
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(vm.statistics().inKvmRun())
                    .singleElement()
                    .satisfies(time -> assertThat(time).isPositive());
        }
    }
}
