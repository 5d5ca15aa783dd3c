package io.thimble.memory;

import static io.thimble.memory.GuestMemory.PAGE_SIZE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GuestMemoryTest {
    private static final long HIGH = 1L << 32;

    private final Arena arena = Arena.ofShared();

    /** Two adjacent regions from 0 on, a hole, and one at 4 GiB. */
    private final GuestMemory memory = GuestMemory.of(region(HIGH, 4), region(0, 2), region(2 * PAGE_SIZE, 1));

    @AfterEach
    void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    @Test
    void sorts_regions_and_sums_sizes() {
        assertThat(memory.regions()).extracting(MemoryRegion::guestAddress).containsExactly(0L, 2 * PAGE_SIZE, HIGH);
        assertThat(memory.size()).isEqualTo(7 * PAGE_SIZE);
        assertThat(memory.endAddress()).isEqualTo(HIGH + 4 * PAGE_SIZE);
        assertThat(memory).hasToString("GuestMemory[0x0-0x2000, 0x2000-0x3000, 0x100000000-0x100004000]");
    }

    @Test
    void rejects_overlapping_and_missing_regions() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> GuestMemory.of(region(0, 2), region(PAGE_SIZE, 1)))
                .withMessageContaining("0x0-0x2000 and 0x1000-0x2000");
        assertThatIllegalArgumentException().isThrownBy(() -> GuestMemory.of(List.of()));
    }

    @Test
    void rejects_regions_off_the_page_grid_read_only_on_the_heap_or_too_high() {
        MemorySegment page = arena.allocate(2 * PAGE_SIZE, PAGE_SIZE);
        assertThatIllegalArgumentException().isThrownBy(() -> new MemoryRegion(1, page));
        assertThatIllegalArgumentException().isThrownBy(() -> new MemoryRegion(0, page.asSlice(0, 100)));
        assertThatIllegalArgumentException().isThrownBy(() -> new MemoryRegion(0, page.asSlice(0, 0)));
        assertThatIllegalArgumentException().isThrownBy(() -> new MemoryRegion(0, page.asSlice(8, PAGE_SIZE)));
        assertThatIllegalArgumentException().isThrownBy(() -> new MemoryRegion(0, page.asReadOnly()));
        assertThatIllegalArgumentException().isThrownBy(() -> new MemoryRegion(-PAGE_SIZE, page));
        assertThatIllegalArgumentException().isThrownBy(() -> new MemoryRegion((1L << 52) - PAGE_SIZE, page));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new MemoryRegion(0, MemorySegment.ofArray(new long[512])));
    }

    @Test
    void stores_in_little_endian() {
        memory.putLong(0x10, 0x0807060504030201L);
        byte[] bytes = new byte[8];
        memory.read(0x10, bytes, 0, 8);
        assertThat(bytes).containsExactly(1, 2, 3, 4, 5, 6, 7, 8);
        assertThat(memory.getShort(0x11)).isEqualTo((short) 0x0302);
        assertThat(memory.getInt(0x13)).isEqualTo(0x07060504);
        assertThat(memory.getIntAcquire(0x14)).isEqualTo(0x08070605);
        assertThat(memory.getShortAcquire(0x12)).isEqualTo((short) 0x0403);
        assertThat(memory.getLongAcquire(0x10)).isEqualTo(0x0807060504030201L);
        memory.putShortRelease(HIGH, (short) 0x8182);
        memory.putIntRelease(HIGH + 4, 0x91929394);
        memory.putLongRelease(HIGH + 8, 0xa1a2a3a4a5a6a7a8L);
        assertThat(memory.getLong(HIGH)).isEqualTo(0x9192939400008182L);
        assertThat(memory.getLong(HIGH + 8)).isEqualTo(0xa1a2a3a4a5a6a7a8L);
    }

    @ParameterizedTest
    @ValueSource(
            longs = {
                3 * PAGE_SIZE,
                3 * PAGE_SIZE - 1,
                3 * PAGE_SIZE - 7,
                HIGH - 8,
                HIGH - 1,
                HIGH + 4 * PAGE_SIZE - 7,
                HIGH + 4 * PAGE_SIZE,
                -1,
                -7,
                -8,
                -PAGE_SIZE,
                Long.MIN_VALUE,
                Long.MIN_VALUE + 8,
                Long.MAX_VALUE,
                Long.MAX_VALUE - 7,
                1L << 52
            })
    void refuses_eight_bytes_outside_memory_and_names_them(long gpa) {
        byte[] eight = new byte[8];
        MemorySegment segment = MemorySegment.ofArray(eight);
        List<Runnable> accesses = List.of(
                () -> memory.getLong(gpa),
                () -> memory.putLong(gpa, -1),
                () -> memory.read(gpa, eight, 0, 8),
                () -> memory.read(gpa, segment),
                () -> memory.write(gpa, eight, 0, 8),
                () -> memory.write(gpa, segment),
                () -> memory.fill(gpa, 8, (byte) 1),
                () -> memory.slice(gpa, 8),
                () -> memory.sliceForWriting(gpa, 8),
                () -> memory.translate(gpa, 8),
                () -> memory.translateForWriting(gpa, 8),
                () -> memory.markDirty(gpa, 8));
        memory.dirtyBitmap().enable();
        for (Runnable access : accesses) {
            assertThatExceptionOfType(GuestMemoryException.class)
                    .isThrownBy(access::run)
                    .withMessageContaining("0x" + Long.toHexString(gpa))
                    .withMessageContaining("0x8")
                    .satisfies(e -> assertThat(e.guestAddress()).isEqualTo(gpa))
                    .satisfies(e -> assertThat(e.length()).isEqualTo(8));
        }
        assertThat(memory.contains(gpa, 8)).isFalse();
        assertThat(memory.dirtyBitmap().dirtyPages()).isZero();
        for (MemoryRegion region : memory.regions()) {
            assertThat(region.segment().mismatch(arena.allocate(region.size()))).isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, -8, Long.MIN_VALUE, Long.MAX_VALUE, 4 * PAGE_SIZE + 1, HIGH + 4 * PAGE_SIZE})
    void refuses_lengths_that_leave_memory_or_overflow(long length) {
        for (long gpa : new long[] {0, 8, PAGE_SIZE, HIGH}) {
            assertThat(memory.contains(gpa, length)).isFalse();
            assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.translate(gpa, length));
            assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.fill(gpa, length, (byte) 0));
            assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.slice(gpa, length));
            assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.markDirty(gpa, length));
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 3, PAGE_SIZE - 1, HIGH + 1, HIGH + 0xffd})
    void refuses_misaligned_ordered_access(long gpa) {
        List<Runnable> accesses = List.of(
                () -> memory.getShortAcquire(gpa),
                () -> memory.getIntAcquire(gpa),
                () -> memory.getLongAcquire(gpa),
                () -> memory.putShortRelease(gpa, (short) 1),
                () -> memory.putIntRelease(gpa, 1),
                () -> memory.putLongRelease(gpa, 1));
        for (Runnable access : accesses) {
            assertThatExceptionOfType(GuestMemoryException.class)
                    .isThrownBy(access::run)
                    .withMessageContaining("Misaligned")
                    .withMessageContaining("0x" + Long.toHexString(gpa));
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {-8, 3 * PAGE_SIZE, HIGH - 8, HIGH + 4 * PAGE_SIZE, Long.MIN_VALUE, 0x7ffffffffffffff8L})
    void refuses_ordered_access_outside_memory(long gpa) {
        List<Runnable> accesses = List.of(
                () -> memory.getShortAcquire(gpa),
                () -> memory.getIntAcquire(gpa),
                () -> memory.getLongAcquire(gpa),
                () -> memory.putShortRelease(gpa, (short) 1),
                () -> memory.putIntRelease(gpa, 1),
                () -> memory.putLongRelease(gpa, 1));
        for (Runnable access : accesses) {
            assertThatExceptionOfType(GuestMemoryException.class)
                    .isThrownBy(access::run)
                    .withMessageContaining("Not in guest memory");
        }
    }

    @Test
    void crosses_adjacent_regions_but_not_into_the_hole() {
        long border = 2 * PAGE_SIZE;
        memory.putLong(border - 3, 0x1122334455667788L);
        assertThat(memory.getLong(border - 3)).isEqualTo(0x1122334455667788L);
        assertThat(memory.regions().get(1).segment().get(ValueLayout.JAVA_BYTE, 0))
                .isEqualTo((byte) 0x55);
        memory.putInt(border - 1, 0xcafebabe);
        assertThat(memory.getInt(border - 1)).isEqualTo(0xcafebabe);
        memory.putShort(border - 1, (short) 0x7fee);
        assertThat(memory.getShort(border - 1)).isEqualTo((short) 0x7fee);
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.slice(border - 1, 2));
    }

    @Test
    void translates_a_range_across_regions_into_one_piece_a_region() {
        long low = memory.regions().get(0).segment().address();
        long next = memory.regions().get(1).segment().address();
        assertThat(memory.translate(PAGE_SIZE + 8, PAGE_SIZE + 8))
                .containsExactly(new HostSegment(low + PAGE_SIZE + 8, PAGE_SIZE - 8), new HostSegment(next, 16));
        assertThat(memory.translate(HIGH, 4 * PAGE_SIZE))
                .containsExactly(
                        new HostSegment(memory.regions().get(2).segment().address(), 4 * PAGE_SIZE));
        List<HostSegment> seen = new ArrayList<>();
        assertThat(memory.translate(
                        2 * PAGE_SIZE - 1, 2, (address, length) -> seen.add(new HostSegment(address, length))))
                .isEqualTo(2);
        assertThat(seen).containsExactly(new HostSegment(low + 2 * PAGE_SIZE - 1, 1), new HostSegment(next, 1));
        assertThat(seen.get(1)).hasToString("0x" + Long.toHexString(next) + "+0x1");
    }

    @Test
    void allows_nothing_anywhere() {
        for (long gpa : new long[] {0, -1, HIGH - 1, Long.MIN_VALUE, Long.MAX_VALUE}) {
            assertThat(memory.contains(gpa, 0)).isTrue();
            assertThat(memory.translate(gpa, 0)).isEmpty();
            memory.read(gpa, new byte[0], 0, 0);
            memory.write(gpa, new byte[4], 4, 0);
            memory.fill(gpa, 0, (byte) 1);
            assertThat(memory.slice(gpa, 0).byteSize()).isZero();
        }
    }

    @Test
    void checks_the_callers_arrays_as_its_own_fault() {
        byte[] bytes = new byte[4];
        assertThatThrownBy(() -> memory.read(0, bytes, 1, 4)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> memory.write(0, bytes, -1, 4)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> memory.read(0, MemorySegment.ofArray(bytes), 0, 5))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> memory.write(0, MemorySegment.ofArray(bytes), 5, 0))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void gives_read_only_slices_for_reading_and_shared_ones_for_writing() {
        memory.putByte(100, (byte) 7);
        assertThat(memory.slice(100, 1).get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 7);
        assertThat(memory.slice(100, 1).isReadOnly()).isTrue();
        memory.sliceForWriting(HIGH + 5, 3).set(ValueLayout.JAVA_BYTE, 2, (byte) 9);
        assertThat(memory.getByte(HIGH + 7)).isEqualTo((byte) 9);
    }

    @Test
    void throws_instead_of_touching_closed_memory() {
        arena.close();
        assertThatThrownBy(() -> memory.getInt(0)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> memory.putLongRelease(HIGH, 1)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> memory.fill(0, 8, (byte) 1)).isInstanceOf(IllegalStateException.class);
    }

    private MemoryRegion region(long guestAddress, int pages) {
        return new MemoryRegion(guestAddress, arena.allocate(pages * PAGE_SIZE, PAGE_SIZE));
    }
}
