package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.KvmRun;
import io.thimble.kvm.abi.KvmExits;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

@RequiresKvm
class MmioIT {
    private static final int OFFSET = 0x38;

    static Stream<Arguments> modes_and_sizes() {
        return Stream.concat(
                Stream.of(Asm.Mode.values()).flatMap(mode -> Stream.of(1, 2, 4).map(size -> Arguments.of(mode, size))),
                Stream.of(Arguments.of(Asm.Mode.LONG, 8)));
    }

    private static long lowBytes(long value, int size) {
        return size == 8 ? value : value & ((1L << (8 * size)) - 1);
    }

    /** The address that a program of {@code mode} uses for a device register, with the segments set for it. */
    private static int reach(RawVm vm, Asm.Mode mode, int offset) {
        if (mode == Asm.Mode.REAL) {
            vm.moveDataSegments(RawVm.MMIO);
            return offset;
        }
        return (int) RawVm.MMIO + offset;
    }

    @ParameterizedTest
    @MethodSource("modes_and_sizes")
    void a_write_tells_address_length_and_value(Asm.Mode mode, int size) {
        long value = 0xf1e2d3c4_b5a69788L;
        try (RawVm vm = new RawVm()) {
            vm.enter(mode);
            int address = reach(vm, mode, OFFSET);
            vm.write(RawVm.CODE, new Asm(mode).movEdi(address).store(size).hlt().toByteArray());
            vm.vcpu().setRegs(vm.regs().rax(value));

            assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_MMIO);

            KvmRun run = vm.kvmRun();
            assertThat(run.mmioIsWrite()).isTrue();
            assertThat(run.mmioPhysAddr()).isEqualTo(RawVm.MMIO + OFFSET);
            assertThat(run.mmioLen()).isEqualTo(size);
            assertThat(run.mmioData()).isEqualTo(lowBytes(value, size));
            vm.runToHlt();
        }
    }

    @ParameterizedTest
    @MethodSource("modes_and_sizes")
    void a_read_takes_the_value_that_was_given(Asm.Mode mode, int size) {
        long value = 0x91a2b3c4_d5e6f708L;
        try (RawVm vm = new RawVm()) {
            vm.enter(mode);
            int address = reach(vm, mode, OFFSET);
            vm.write(RawVm.CODE, new Asm(mode).movEdi(address).load(size).hlt().toByteArray());

            assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_MMIO);

            KvmRun run = vm.kvmRun();
            assertThat(run.mmioIsWrite()).isFalse();
            assertThat(run.mmioPhysAddr()).isEqualTo(RawVm.MMIO + OFFSET);
            assertThat(run.mmioLen()).isEqualTo(size);
            run.setMmioData(value);
            vm.runToHlt();
            assertThat(vm.regs().rax()).isEqualTo(lowBytes(value, size));
        }
    }

    @Test
    void an_access_across_two_pages_comes_as_two_exits() {
        Asm.Mode mode = Asm.Mode.PROTECTED;
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(mode)
                    .movEax(0x44332211)
                    .movEdi((int) RawVm.MMIO + 0xfff)
                    .store(4)
                    .hlt());
            KvmRun run = vm.kvmRun();

            assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_MMIO);
            assertThat(run.mmioPhysAddr()).isEqualTo(RawVm.MMIO + 0xfff);
            assertThat(run.mmioLen()).isEqualTo(1);
            assertThat(run.mmioData()).isEqualTo(0x11);
            assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_MMIO);
            assertThat(run.mmioPhysAddr()).isEqualTo(RawVm.MMIO + 0x1000);
            assertThat(run.mmioLen()).isEqualTo(3);
            assertThat(run.mmioData()).isEqualTo(0x443322);
            vm.runToHlt();
        }
    }
}
