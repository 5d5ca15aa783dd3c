package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.GsiRoute;
import io.thimble.kvm.KvmException;
import io.thimble.kvm.KvmVm;
import io.thimble.kvm.abi.KvmCaps;
import io.thimble.kvm.abi.KvmIrqchipLayout;
import io.thimble.kvm.abi.KvmPicStateLayout;
import io.thimble.kvm.abi.KvmX86Constants;
import io.thimble.linux.EventFd;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Every way by which the host interrupts a guest with the PIC, IOAPIC and local APIC in the kernel. */
@RequiresKvm
class InterruptIT {
    private static final int LINE = 5;
    private static final int LINE_VECTOR = InterruptGuest.PIC_BASE + LINE;
    private static final long APIC_0 = 0xfee0_0000L;

    private final RawVm vm = InterruptGuest.start(KvmVm::createIrqchip);
    private final EventFd event = new EventFd("irqfd");

    @BeforeEach
    void guest_is_ready() {
        vm.runToOut(InterruptGuest.READY);
    }

    @AfterEach
    void close() {
        vm.close();
        event.close();
    }

    /** Tells whether the PIC has seen {@link #LINE} rise and not yet given it to the vCPU. */
    private boolean lineIsPending() {
        MemorySegment pic = vm.vm().getIrqchip(vm.arena(), KvmX86Constants.KVM_IRQCHIP_PIC_MASTER);
        return (pic.get(ValueLayout.JAVA_BYTE, KvmIrqchipLayout.OFFSETOF_CHIP + KvmPicStateLayout.OFFSETOF_IRR)
                        & (1 << LINE))
                != 0;
    }

    @Test
    void a_raised_line_interrupts_once() {
        vm.vm().irqLine(LINE, true);
        assertThat(lineIsPending()).isTrue();
        assertThat(InterruptGuest.take(vm)).isEqualTo(LINE_VECTOR);
        vm.vm().irqLine(LINE, true);
        assertThat(lineIsPending()).isFalse();

        vm.vm().irqLine(LINE, false);
        vm.vm().irqLine(LINE, true);
        assertThat(InterruptGuest.take(vm)).isEqualTo(LINE_VECTOR);
    }

    @Test
    void an_irqfd_interrupts_until_it_is_removed() {
        vm.vm().addIrqfd(event, LINE);
        event.signal();
        assertThat(InterruptGuest.take(vm)).isEqualTo(LINE_VECTOR);
        event.signal();
        assertThat(InterruptGuest.take(vm)).isEqualTo(LINE_VECTOR);

        vm.vm().removeIrqfd(event, LINE);
        event.signal();
        assertThat(lineIsPending()).isFalse();
        assertThat(event.consume()).isOne();
    }

    @Test
    void a_level_irqfd_says_when_the_guest_has_ended_the_interrupt() {
        try (EventFd resample = new EventFd("resample")) {
            vm.vm().addIrqfd(event, LINE, resample);
            event.signal();

            vm.runToOut(InterruptGuest.VECTOR);
            assertThat(resample.consume()).isZero();
            vm.runToOut(InterruptGuest.ENDED);
            assertThat(resample.consume()).isOne();
        }
    }

    @Test
    void a_route_leads_a_gsi_to_a_pin() {
        int gsi = 200;
        vm.vm().setGsiRouting(List.of(new GsiRoute.Pin(gsi, KvmX86Constants.KVM_IRQCHIP_PIC_MASTER, LINE)));

        vm.vm().irqLine(gsi, true);

        assertThat(InterruptGuest.take(vm)).isEqualTo(LINE_VECTOR);
    }

    @Test
    void a_route_leads_a_gsi_to_a_message() {
        vm.vm().setGsiRouting(List.of(new GsiRoute.Msi(30, APIC_0, 0x41), new GsiRoute.Msi(31, APIC_0, 0x52)));
        vm.vm().addIrqfd(event, 31);

        event.signal();

        assertThat(InterruptGuest.take(vm)).isEqualTo(0x52);
        vm.vm().irqLine(30, true);
        assertThat(InterruptGuest.take(vm)).isEqualTo(0x41);
    }

    @Test
    void a_message_is_delivered_without_a_route() {
        assertThat(vm.vm().signalMsi(APIC_0, 0x43)).isTrue();

        assertThat(InterruptGuest.take(vm)).isEqualTo(0x43);
    }

    @Test
    void a_message_to_an_apic_that_is_not_there_is_not_accepted() {
        assertThat(vm.vm().signalMsi(APIC_0 | 7 << 12, 0x43)).isFalse();
    }

    @Test
    void the_upper_half_of_a_messages_address_names_apics_beyond_255() {
        vm.vm().enableCap(KvmCaps.KVM_CAP_X2APIC_API, KvmX86Constants.KVM_X2APIC_API_USE_32BIT_IDS);

        assertThat(vm.vm().signalMsi(APIC_0 | 0x100L << 32, 0x43)).isFalse();
        assertThat(vm.vm().signalMsi(APIC_0, 0x44)).isTrue();
        assertThat(InterruptGuest.take(vm)).isEqualTo(0x44);
    }

    @Test
    void names_the_gsi_that_an_event_has_already() {
        vm.vm().addIrqfd(event, LINE);

        assertThatThrownBy(() -> vm.vm().addIrqfd(event, LINE))
                .isInstanceOf(KvmException.class)
                .hasMessageStartingWith("KVM_IRQFD of GSI 5: EBUSY");
    }
}
