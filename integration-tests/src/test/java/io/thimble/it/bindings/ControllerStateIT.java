package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmIoapicStateLayout;
import io.thimble.kvm.abi.KvmIrqchipLayout;
import io.thimble.kvm.abi.KvmPicStateLayout;
import io.thimble.kvm.abi.KvmPitState2Layout;
import io.thimble.kvm.abi.KvmX86Constants;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The interrupt controllers and the timer that live in the kernel. */
@RequiresKvm
class ControllerStateIT {
    private final RawVm vm = new RawVm(v -> {
        v.setTssAddr(0xfffb_d000L);
        v.setIdentityMapAddr(0xfffb_c000L);
        v.createIrqchip();
        v.createPit2(KvmConstants.KVM_PIT_SPEAKER_DUMMY);
    });

    @AfterEach
    void close() {
        vm.close();
    }

    @ParameterizedTest
    @ValueSource(ints = {KvmX86Constants.KVM_IRQCHIP_PIC_MASTER, KvmX86Constants.KVM_IRQCHIP_PIC_SLAVE})
    void a_pic_keeps_its_mask(int chip) {
        MemorySegment pic = vm.vm().getIrqchip(vm.arena(), chip);
        long imr = KvmIrqchipLayout.OFFSETOF_CHIP + KvmPicStateLayout.OFFSETOF_IMR;
        pic.set(ValueLayout.JAVA_BYTE, imr, (byte) 0xa5);
        vm.vm().setIrqchip(pic);

        assertThat(vm.vm().getIrqchip(vm.arena(), chip).get(ValueLayout.JAVA_BYTE, imr))
                .isEqualTo((byte) 0xa5);
    }

    @Test
    void the_ioapic_keeps_its_redirections() {
        MemorySegment ioapic = vm.vm().getIrqchip(vm.arena(), KvmX86Constants.KVM_IRQCHIP_IOAPIC);
        long third = KvmIrqchipLayout.OFFSETOF_CHIP + KvmIoapicStateLayout.OFFSETOF_REDIRTBL + 3 * Long.BYTES;
        long masked = 0x0100_0000_0001_0033L;
        ioapic.set(ValueLayout.JAVA_LONG, third, masked);
        vm.vm().setIrqchip(ioapic);

        assertThat(vm.vm()
                        .getIrqchip(vm.arena(), KvmX86Constants.KVM_IRQCHIP_IOAPIC)
                        .get(ValueLayout.JAVA_LONG, third))
                .isEqualTo(masked);
    }

    @Test
    void the_timer_keeps_its_first_channels_count() {
        MemorySegment pit = vm.vm().getPit2(vm.arena());
        pit.set(ValueLayout.JAVA_INT, KvmPitState2Layout.OFFSETOF_CHANNELS, 0x1234);
        vm.vm().setPit2(pit);

        assertThat(vm.vm().getPit2(vm.arena()).get(ValueLayout.JAVA_INT, KvmPitState2Layout.OFFSETOF_CHANNELS))
                .isEqualTo(0x1234);
    }

    @Test
    void the_speaker_port_is_the_timers_if_it_was_asked_for() {
        int end = 0x77;
        vm.load(new Asm(Asm.Mode.REAL).movDx(0x61).in(1).outByte(end, 3).hlt());

        assertThat(vm.runToOut(end)).isEqualTo(3);
    }
}
