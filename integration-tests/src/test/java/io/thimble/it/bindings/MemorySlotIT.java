package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.KvmException;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmExits;
import io.thimble.linux.Mman;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@RequiresKvm
class MemorySlotIT {
    private final RawVm vm = new RawVm();
    private final MemorySegment page = Mman.anonymous(vm.arena(), Mman.PAGE_SIZE);

    @AfterEach
    void close() {
        vm.close();
    }

    /** Reads 4 bytes at {@link RawVm#MMIO} into EAX, then writes 0x55667788 there. */
    private void load() {
        vm.load(new Asm(Asm.Mode.PROTECTED)
                .movEdi((int) RawVm.MMIO)
                .load(4)
                .hlt()
                .movEax(0x55667788)
                .store(4)
                .hlt());
    }

    private void readsAndWritesThePage() {
        page.set(ValueLayout.JAVA_INT, 0, 0x11223344);
        load();
        vm.runToHlt();
        assertThat(vm.regs().rax()).isEqualTo(0x11223344);
        vm.runToHlt();
        assertThat(page.get(ValueLayout.JAVA_INT, 0)).isEqualTo(0x55667788);
    }

    @Test
    void a_slot_makes_memory_and_its_deletion_a_hole() {
        vm.vm().setUserMemoryRegion(1, 0, RawVm.MMIO, Mman.PAGE_SIZE, page.address());
        readsAndWritesThePage();

        vm.vm().setUserMemoryRegion(1, 0, RawVm.MMIO, 0, page.address());
        load();
        assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_MMIO);
    }

    @Test
    void a_slot_of_the_second_kind_makes_memory() {
        assumeTrue(vm.vm().hasUserMemoryRegion2(), "the host's kernel has no KVM_CAP_USER_MEMORY2");
        vm.vm().setUserMemoryRegion2(1, 0, RawVm.MMIO, Mman.PAGE_SIZE, page.address(), 0, 0);

        readsAndWritesThePage();
    }

    @Test
    void a_read_only_slot_answers_reads_and_exits_at_writes() {
        vm.vm().setUserMemoryRegion(1, KvmConstants.KVM_MEM_READONLY, RawVm.MMIO, Mman.PAGE_SIZE, page.address());
        page.set(ValueLayout.JAVA_INT, 0, 0x11223344);
        load();
        vm.runToHlt();
        assertThat(vm.regs().rax()).isEqualTo(0x11223344);

        assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_MMIO);
        assertThat(vm.kvmRun().mmioIsWrite()).isTrue();
        assertThat(vm.kvmRun().mmioData()).isEqualTo(0x55667788);
        assertThat(page.get(ValueLayout.JAVA_INT, 0)).isEqualTo(0x11223344);
    }

    @Test
    void names_the_slot_that_overlaps() {
        assertThatThrownBy(() -> vm.vm().setUserMemoryRegion(7, 0, 0x8000, Mman.PAGE_SIZE, page.address()))
                .isInstanceOf(KvmException.class)
                .hasMessage("KVM_SET_USER_MEMORY_REGION of slot 7: EEXIST (File exists)");
    }

    @Test
    void names_the_slot_that_is_not_aligned() {
        assertThatThrownBy(() -> vm.vm().setUserMemoryRegion(7, 0, RawVm.MMIO + 1, Mman.PAGE_SIZE, page.address()))
                .isInstanceOf(KvmException.class)
                .hasMessage("KVM_SET_USER_MEMORY_REGION of slot 7: EINVAL (Invalid argument)");
    }
}
