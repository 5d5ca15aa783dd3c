package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.KvmException;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmExits;
import io.thimble.linux.EventFd;
import io.thimble.linux.abi.Errnos;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Writes that signal an event in the kernel and do not exit. Port 0x10 marks the programs' ends. */
@RequiresKvm
class IoeventfdIT {
    private static final int PORT = 0x500;
    private static final int PIO = KvmConstants.KVM_IOEVENTFD_FLAG_PIO;
    private static final int DATAMATCH = KvmConstants.KVM_IOEVENTFD_FLAG_DATAMATCH;
    private static final int DEASSIGN = KvmConstants.KVM_IOEVENTFD_FLAG_DEASSIGN;

    private final RawVm vm = new RawVm();
    private final EventFd event = new EventFd("ioeventfd");

    @AfterEach
    void close() {
        vm.close();
        event.close();
    }

    private static Asm program() {
        return new Asm(Asm.Mode.PROTECTED);
    }

    @Test
    void a_port_write_signals_instead_of_exiting() {
        vm.vm().ioeventfd(event, PORT, 2, 0, PIO);
        vm.load(program().movDx(PORT).movEax(7).out(2).out(2).out(2).hlt());

        vm.runToHlt();

        assertThat(event.consume()).isEqualTo(3);
    }

    @Test
    void a_port_write_of_another_size_exits() {
        vm.vm().ioeventfd(event, PORT, 2, 0, PIO);
        vm.load(program().movDx(PORT).movEax(7).out(1).hlt());

        assertThat(vm.runToOut(PORT)).isEqualTo(7);
        assertThat(event.consume()).isZero();
    }

    @Test
    void a_port_write_of_another_value_exits() {
        vm.vm().ioeventfd(event, PORT, 4, 0x8000_0001L, PIO | DATAMATCH);
        vm.load(program()
                .movDx(PORT)
                .movEax(0x80000001)
                .out(4)
                .movEax(0x80000002)
                .out(4)
                .hlt());

        assertThat(vm.runToOut(PORT)).isEqualTo(0x8000_0002L);
        assertThat(event.consume()).isOne();
        vm.runToHlt();
        assertThat(event.consume()).isZero();
    }

    @Test
    void mmio_writes_go_to_the_event_of_their_value() {
        try (EventFd other = new EventFd("other queue")) {
            vm.vm().ioeventfd(event, RawVm.MMIO + 0x50, 4, 0, DATAMATCH);
            vm.vm().ioeventfd(other, RawVm.MMIO + 0x50, 4, 1, DATAMATCH);
            Asm program = program().movEdi((int) RawVm.MMIO + 0x50);
            vm.load(program.movEax(1)
                    .store(4)
                    .movEax(0)
                    .store(4)
                    .movEax(1)
                    .store(4)
                    .movEax(2)
                    .store(4)
                    .hlt());

            assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_MMIO);

            assertThat(vm.kvmRun().mmioData()).isEqualTo(2);
            assertThat(event.consume()).isOne();
            assertThat(other.consume()).isEqualTo(2);
        }
    }

    @Test
    void length_zero_takes_a_write_of_any_size() {
        vm.vm().ioeventfd(event, RawVm.MMIO, 0, 0, 0);
        vm.load(program().movEdi((int) RawVm.MMIO).store(1).store(2).store(4).hlt());

        vm.runToHlt();

        assertThat(event.consume()).isEqualTo(3);
    }

    @Test
    void deassigned_the_write_exits_again() {
        vm.vm().ioeventfd(event, PORT, 1, 9, PIO | DATAMATCH);
        vm.vm().ioeventfd(event, PORT, 1, 9, PIO | DATAMATCH | DEASSIGN);
        vm.load(program().movDx(PORT).movEax(9).out(1).hlt());

        assertThat(vm.runToOut(PORT)).isEqualTo(9);
        assertThat(event.consume()).isZero();
    }

    @Test
    void names_the_address_that_is_taken() {
        vm.vm().ioeventfd(event, RawVm.MMIO, 4, 0, 0);

        assertThatThrownBy(() -> vm.vm().ioeventfd(event, RawVm.MMIO, 4, 0, 0))
                .isInstanceOfSatisfying(
                        KvmException.class, e -> assertThat(e.errno()).isEqualTo(Errnos.EEXIST))
                .hasMessageStartingWith("KVM_IOEVENTFD of address 0xd0000000");
    }
}
