package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.Kvm;
import io.thimble.kvm.KvmVm;
import io.thimble.vmm.bus.Bus;
import io.thimble.vmm.vcpu.Vcpu;
import io.thimble.vmm.vcpu.VcpuEvents;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Orders of requests to one vCPU that a whole VM meets within microseconds only. */
@RequiresKvm
@Timeout(30)
class VcpuIT {
    /** Notes what the vCPU tells. */
    private static final class Recorder implements VcpuEvents {
        final List<String> events = new CopyOnWriteArrayList<>();

        @Override
        public void powerOff() {
            events.add("power off");
        }

        @Override
        public void reset(String source) {
            events.add("reset");
        }

        @Override
        public void panicked(String detail) {
            events.add("panicked");
        }

        @Override
        public void crashed(String detail, String registers) {
            events.add("crashed: " + detail);
        }

        @Override
        public void firstRun(int vcpuId) {
            events.add("first run");
        }
    }

    private final Recorder recorder = new Recorder();

    private Vcpu vcpu(KvmVm vm) {
        return new Vcpu(
                vm.createVcpu(0),
                "thimble-vcpu-test",
                Bus.pio().build(),
                Bus.mmio().build(),
                recorder);
    }

    @Test
    void a_vcpu_that_was_ended_and_freed_before_its_start_never_runs() {
        try (Kvm kvm = Kvm.open();
                KvmVm vm = kvm.createVm()) {
            Vcpu vcpu = vcpu(vm);
            vcpu.requestEnd();
            vcpu.awaitEnd();
            vcpu.close();
            vcpu.start();
            vcpu.awaitEnd();
            assertThat(recorder.events).isEmpty();
        }
    }

    @Test
    void a_vcpu_that_is_to_park_before_its_start_parks_and_then_ends_without_having_run() {
        try (Kvm kvm = Kvm.open();
                KvmVm vm = kvm.createVm()) {
            Vcpu vcpu = vcpu(vm);
            vcpu.requestPark();
            vcpu.awaitParked();
            vcpu.start();
            vcpu.awaitParked();
            vcpu.requestEnd();
            vcpu.resume();
            vcpu.awaitEnd();
            assertThat(recorder.events).containsExactly("first run");
            assertThat(vcpu.counters().toString()).isEqualTo("{}");
            vcpu.close();
        }
    }
}
