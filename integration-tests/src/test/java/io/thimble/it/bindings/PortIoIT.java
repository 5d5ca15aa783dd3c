package io.thimble.it.bindings;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresKvm;
import io.thimble.kvm.KvmRun;
import io.thimble.kvm.abi.KvmExits;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

@RequiresKvm
class PortIoIT {
    private static final int PORT = 0xfff4;

    static Stream<Arguments> modes_and_sizes() {
        return Arrays.stream(Asm.Mode.values())
                .flatMap(mode -> Stream.of(1, 2, 4).map(size -> Arguments.of(mode, size)));
    }

    private static long lowBytes(long value, int size) {
        return value & ((1L << (8 * size)) - 1);
    }

    @ParameterizedTest
    @MethodSource("modes_and_sizes")
    void out_tells_port_size_and_value(Asm.Mode mode, int size) {
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(mode).movDx(PORT).movEax(0x89abcdef).out(size).hlt());

            assertThat(vm.runToOut(PORT)).isEqualTo(lowBytes(0x89abcdefL, size));
            assertThat(vm.kvmRun().ioSize()).isEqualTo(size);
            vm.runToHlt();
        }
    }

    @ParameterizedTest
    @MethodSource("modes_and_sizes")
    void in_takes_the_value_that_was_given(Asm.Mode mode, int size) {
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(mode)
                    .movDx(PORT)
                    .movEax(0x11223344)
                    .in(size)
                    .movEdi(RawVm.DATA)
                    .store(4)
                    .hlt());

            assertThat(vm.run()).isEqualTo(KvmExits.KVM_EXIT_IO);
            KvmRun run = vm.kvmRun();
            assertThat(run.ioIsOut()).isFalse();
            assertThat(run.ioPort()).isEqualTo(PORT);
            assertThat(run.ioSize()).isEqualTo(size);
            assertThat(run.ioCount()).isOne();
            run.setIoData(0, 0xfedcba98L);
            vm.runToHlt();

            long kept = 0x11223344L & ~lowBytes(-1, size);
            assertThat(vm.readLong(RawVm.DATA)).isEqualTo(kept | lowBytes(0xfedcba98L, size));
        }
    }

    @ParameterizedTest
    @EnumSource(Asm.Mode.class)
    void a_string_arrives_in_order(Asm.Mode mode) {
        byte[] text = "written by the guest\n".getBytes(StandardCharsets.US_ASCII);
        try (RawVm vm = new RawVm()) {
            vm.write(RawVm.DATA, text);
            vm.load(new Asm(mode)
                    .movDx(PORT)
                    .movEsi(RawVm.DATA)
                    .movEcx(text.length)
                    .repOuts(1)
                    .hlt());
            KvmRun run = vm.kvmRun();
            ByteArrayOutputStream seen = new ByteArrayOutputStream();
            while (vm.run() == KvmExits.KVM_EXIT_IO) {
                assertThat(run.ioIsOut()).isTrue();
                for (int i = 0; i < run.ioCount(); i++) {
                    seen.write((int) run.ioData(i));
                }
            }
            assertThat(run.exitReason()).isEqualTo(KvmExits.KVM_EXIT_HLT);
            assertThat(seen.toByteArray()).isEqualTo(text);
        }
    }

    @ParameterizedTest
    @MethodSource("modes_and_sizes")
    void string_input_takes_many_values_from_one_exit(Asm.Mode mode, int size) {
        int count = 37;
        long seed = 20L + size;
        SplittableRandom random = new SplittableRandom(seed);
        try (RawVm vm = new RawVm()) {
            vm.load(new Asm(mode)
                    .movDx(PORT)
                    .movEdi(RawVm.DATA)
                    .movEcx(count)
                    .repIns(size)
                    .hlt());
            KvmRun run = vm.kvmRun();
            List<Long> given = new ArrayList<>();
            int most = 0;
            while (vm.run() == KvmExits.KVM_EXIT_IO) {
                assertThat(run.ioSize()).isEqualTo(size);
                most = Math.max(most, run.ioCount());
                for (int i = 0; i < run.ioCount(); i++) {
                    given.add(lowBytes(random.nextLong(), size));
                    run.setIoData(i, given.getLast());
                }
            }
            assertThat(run.exitReason()).isEqualTo(KvmExits.KVM_EXIT_HLT);
            assertThat(most).isGreaterThan(1);
            assertThat(given).hasSize(count);
            for (int i = 0; i < count; i++) {
                assertThat(lowBytes(vm.readLong(RawVm.DATA + (long) i * size), size))
                        .as("seed %d, value %d", seed, i)
                        .isEqualTo(given.get(i));
            }
        }
    }
}
