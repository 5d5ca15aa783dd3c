package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.GsiRoute;
import io.thimble.kvm.abi.KvmExits;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Local APICs in the kernel, IOAPIC in user space. */
@RequiresKvm
class SplitIrqchipIT {
    private static final int VECTOR = 0x51;

    /** Trigger mode level, asserted. */
    private static final int LEVEL = 0xc000;

    @Test
    void the_end_of_a_level_interrupt_exits() {
        try (RawVm vm = InterruptGuest.start(v -> v.createSplitIrqchip(24))) {
            vm.vm().setGsiRouting(List.of(new GsiRoute.Msi(3, 0xfee0_0000L, LEVEL | VECTOR)));
            // The PIC is in user space too: five writes that program it, then the guest is ready.
            for (int i = 0; i < 5; i++) {
                assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_IO);
            }
            vm.runToOut(InterruptGuest.READY);

            vm.vm().irqLine(3, true);

            assertThat(vm.runToOut(InterruptGuest.VECTOR)).isEqualTo(VECTOR);
            // When the exit comes differs: kvm-pvm gives it before the handler's own end of interrupt.
            List<String> exits = new ArrayList<>();
            do {
                if (vm.run() == KvmExits.KVM_EXIT_IOAPIC_EOI) {
                    assertThat(vm.kvmRun().eoiVector()).isEqualTo(VECTOR);
                }
                exits.add(vm.kvmRun().toString());
            } while (exits.size() < 3);
            assertThat(exits)
                    .containsExactlyInAnyOrder(
                            "KVM_EXIT_IOAPIC_EOI: vector " + VECTOR,
                            "KVM_EXIT_IO: out port 0x20, 1 x 1 bytes",
                            "KVM_EXIT_IO: out port 0x%x, 1 x 1 bytes".formatted(InterruptGuest.ENDED));
        }
    }
}
