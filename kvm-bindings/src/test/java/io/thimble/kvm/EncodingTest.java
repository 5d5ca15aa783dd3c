package io.thimble.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmIrqRoutingEntryLayout;
import io.thimble.kvm.abi.KvmIrqRoutingLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Lists that ioctls take and give, against the words that the C structures consist of. */
class EncodingTest {
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void cpuid_leaves_survive_a_round_trip(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        List<CpuidEntry> leaves = Stream.generate(() -> new CpuidEntry(
                        random.nextInt(),
                        random.nextInt(),
                        random.nextInt(),
                        random.nextInt(),
                        random.nextInt(),
                        random.nextInt(),
                        random.nextInt()))
                .limit(random.nextInt(200))
                .toList();
        try (Arena arena = Arena.ofConfined()) {
            assertThat(CpuidEntry.decode(CpuidEntry.encode(arena, leaves)))
                    .as("seed %d", seed)
                    .isEqualTo(leaves);
        }
    }

    @Test
    void a_cpuid_leaf_is_seven_words_and_three_of_padding() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment cpuid = CpuidEntry.encode(
                    arena, List.of(new CpuidEntry(1, 2, 3, 4, 5, 6, 7), new CpuidEntry(11, 12, 13, 14, 15, 16, 17)));

            assertThat(cpuid.toArray(ValueLayout.JAVA_INT))
                    .containsExactly(2, 0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 11, 12, 13, 14, 15, 16, 17, 0, 0, 0);
        }
    }

    @Test
    void a_cpuid_leaf_changes_its_answer_only() {
        CpuidEntry leaf = new CpuidEntry(0x4000_0000, 2, 3, 4, 5, 6, 7).with(14, 15, 16, 17);

        assertThat(leaf).isEqualTo(new CpuidEntry(0x4000_0000, 2, 3, 14, 15, 16, 17));
        assertThat(leaf).hasToString("CPUID 40000000.2: eax=0000000e ebx=0000000f ecx=00000010 edx=00000011");
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void msrs_survive_a_round_trip(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        List<MsrEntry> msrs = Stream.generate(() -> new MsrEntry(random.nextInt(), random.nextLong()))
                .limit(1 + random.nextInt(100))
                .toList();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment encoded = MsrEntry.encode(arena, msrs);
            assertThat(MsrEntry.decode(encoded, msrs.size()))
                    .as("seed %d", seed)
                    .isEqualTo(msrs);
            assertThat(MsrEntry.decode(encoded, msrs.size() - 1))
                    .as("seed %d", seed)
                    .isEqualTo(msrs.subList(0, msrs.size() - 1));
        }
    }

    @Test
    void an_msr_is_its_number_a_reserved_word_and_its_value() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment msrs = MsrEntry.encode(arena, List.of(new MsrEntry(0xc000_0080, 0x1122334455667788L)));

            assertThat(msrs.toArray(ValueLayout.JAVA_INT))
                    .containsExactly(1, 0, 0xc000_0080, 0, 0x55667788, 0x11223344);
        }
        assertThat(new MsrEntry(0xc000_0080, 0xd01)).hasToString("MSR c0000080=0000000000000d01");
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void routes_lie_where_the_kernel_reads_them(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        List<GsiRoute> routes = Stream.<GsiRoute>generate(() -> random.nextBoolean()
                        ? new GsiRoute.Pin(random.nextInt(), random.nextInt(3), random.nextInt(24))
                        : new GsiRoute.Msi(random.nextInt(), random.nextLong(), random.nextInt()))
                .limit(random.nextInt(50))
                .toList();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment table = GsiRoute.encode(arena, routes);

            assertThat(table.get(ValueLayout.JAVA_INT, KvmIrqRoutingLayout.OFFSETOF_NR))
                    .isEqualTo(routes.size());
            assertThat(table.byteSize())
                    .isEqualTo(KvmIrqRoutingLayout.OFFSETOF_ENTRIES + routes.size() * KvmIrqRoutingEntryLayout.SIZEOF);
            for (int i = 0; i < routes.size(); i++) {
                int[] words = table.asSlice(
                                KvmIrqRoutingLayout.OFFSETOF_ENTRIES + i * KvmIrqRoutingEntryLayout.SIZEOF, 32)
                        .toArray(ValueLayout.JAVA_INT);
                assertThat(words).as("seed %d, route %d", seed, i).isEqualTo(words(routes.get(i)));
            }
        }
    }

    /** gsi, type, flags, pad, then the union. */
    private static int[] words(GsiRoute route) {
        return switch (route) {
            case GsiRoute.Pin pin ->
                new int[] {pin.gsi(), KvmConstants.KVM_IRQ_ROUTING_IRQCHIP, 0, 0, pin.irqchip(), pin.pin(), 0, 0};
            case GsiRoute.Msi msi ->
                new int[] {
                    msi.gsi(),
                    KvmConstants.KVM_IRQ_ROUTING_MSI,
                    0,
                    0,
                    (int) msi.address(),
                    (int) (msi.address() >> 32),
                    msi.data(),
                    0
                };
        };
    }
}
