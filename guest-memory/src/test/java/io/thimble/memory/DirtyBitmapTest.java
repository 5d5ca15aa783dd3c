package io.thimble.memory;

import static io.thimble.memory.GuestMemory.PAGE_SIZE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class DirtyBitmapTest {
    private static final long HIGH = 1L << 32;

    private final Arena arena = Arena.ofShared();
    private final GuestMemory memory = GuestMemory.of(
            new MemoryRegion(0, arena.allocate(200 * PAGE_SIZE, PAGE_SIZE)),
            new MemoryRegion(HIGH, arena.allocate(70 * PAGE_SIZE, PAGE_SIZE)));
    private final DirtyBitmap dirty = memory.dirtyBitmap();

    @AfterEach
    void close() {
        arena.close();
    }

    @Test
    void is_off_at_first_and_forgets_when_switched_off() {
        memory.putInt(0, 1);
        assertThat(dirty.isEnabled()).isFalse();
        assertThat(dirty.dirtyPages()).isZero();
        assertThat(dirty).hasToString("DirtyBitmap[off]");
        assertThatIllegalStateException().isThrownBy(() -> dirty.snapshotAndClear(0));
        dirty.enable();
        memory.putInt(0, 1);
        dirty.enable();
        assertThat(dirty.isDirty(0)).isTrue();
        assertThat(dirty).hasToString("DirtyBitmap[1 dirty]");
        dirty.disable();
        assertThat(dirty.isDirty(0)).isFalse();
        dirty.enable();
        assertThat(dirty.dirtyPages()).isZero();
    }

    @Test
    void marks_both_pages_of_an_access_across_their_border() {
        dirty.enable();
        memory.putInt(5 * PAGE_SIZE - 2, -1);
        assertThat(runs()).containsExactly("0x4000+2");
    }

    @Test
    void marks_long_ranges_exactly() {
        dirty.enable();
        memory.fill(3 * PAGE_SIZE + 5, 150 * PAGE_SIZE, (byte) 1);
        memory.fill(HIGH + 63 * PAGE_SIZE, PAGE_SIZE, (byte) 1);
        memory.fill(HIGH + 65 * PAGE_SIZE, 5 * PAGE_SIZE, (byte) 1);
        assertThat(dirty.isDirty(2 * PAGE_SIZE)).isFalse();
        assertThat(dirty.isDirty(3 * PAGE_SIZE)).isTrue();
        assertThat(dirty.isDirty(153 * PAGE_SIZE)).isTrue();
        assertThat(dirty.isDirty(154 * PAGE_SIZE)).isFalse();
        assertThat(dirty.isDirty(-1)).isFalse();
        assertThat(dirty.isDirty(HIGH - 1)).isFalse();
        assertThat(runs()).containsExactly("0x3000+151", "0x10003f000+1", "0x100041000+5");
        assertThat(runs()).isEmpty();
    }

    @Test
    void gives_a_region_in_the_layout_of_kvm_get_dirty_log() {
        dirty.enable();
        memory.putByte(HIGH, (byte) 1);
        memory.putByte(HIGH + 69 * PAGE_SIZE, (byte) 1);
        memory.putByte(0, (byte) 1);
        assertThat(dirty.snapshotAndClear(1)).containsExactly(1, 1L << 5);
        assertThat(dirty.snapshotAndClear(1)).containsExactly(0, 0);
        assertThat(dirty.snapshotAndClear(0)).containsExactly(1, 0, 0, 0);
    }

    @Test
    void marks_what_is_translated_or_sliced_for_writing_and_only_that() {
        dirty.enable();
        memory.translate(0, PAGE_SIZE);
        memory.translate(0, 8, (address, length) -> {});
        memory.slice(0, 8);
        memory.read(0, new byte[8], 0, 8);
        memory.getLongAcquire(0);
        assertThat(runs()).isEmpty();
        memory.translateForWriting(PAGE_SIZE, 1, (address, length) -> {});
        memory.sliceForWriting(3 * PAGE_SIZE, 1);
        memory.markDirty(5 * PAGE_SIZE, PAGE_SIZE + 1);
        assertThat(runs()).containsExactly("0x1000+1", "0x3000+1", "0x5000+2");
        assertThatThrownBy(() -> memory.translateForWriting(PAGE_SIZE, 1, (address, length) -> {
                    throw new IllegalStateException("from the consumer");
                }))
                .hasMessage("from the consumer");
        assertThat(runs()).containsExactly("0x1000+1");
    }

    @Test
    void loses_no_page_that_threads_mark_at_once() throws Exception {
        long seed = System.nanoTime();
        System.out.println("loses_no_page_that_threads_mark_at_once: seed " + seed);
        dirty.enable();
        int threads = 4;
        BitSet expected = new BitSet();
        List<long[]> work = new ArrayList<>();
        SplittableRandom random = new SplittableRandom(seed);
        for (int t = 0; t < threads; t++) {
            long[] pages = random.longs(5_000, 0, 200).toArray();
            for (long page : pages) {
                expected.set((int) page);
            }
            work.add(pages);
        }
        CountDownLatch start = new CountDownLatch(1);
        BitSet seen = new BitSet();
        try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
            List<Future<?>> running = new ArrayList<>();
            for (long[] pages : work) {
                running.add(pool.submit(() -> {
                    start.await();
                    for (long page : pages) {
                        memory.putLongRelease(page * PAGE_SIZE, page);
                    }
                    return null;
                }));
            }
            start.countDown();
            while (running.stream().anyMatch(f -> !f.isDone())) {
                drainInto(seen);
            }
            for (Future<?> f : running) {
                f.get(30, TimeUnit.SECONDS);
            }
        }
        drainInto(seen);
        assertThat(seen).isEqualTo(expected);
    }

    @Test
    void a_drained_copy_is_never_older_than_its_clean_bit() throws Exception {
        dirty.enable();
        int rounds = 200_000;
        AtomicInteger copy = new AtomicInteger();
        try (ExecutorService pool = Executors.newSingleThreadExecutor()) {
            Future<?> writer = pool.submit(() -> {
                for (int i = 1; i <= rounds; i++) {
                    memory.putInt(0, i);
                }
            });
            while (!writer.isDone()) {
                dirty.drainTo((gpa, length) -> copy.set(memory.getIntAcquire(gpa)));
            }
            writer.get(30, TimeUnit.SECONDS);
        }
        dirty.drainTo((gpa, length) -> copy.set(memory.getIntAcquire(gpa)));
        assertThat(copy).hasValue(rounds);
    }

    private List<String> runs() {
        List<String> runs = new ArrayList<>();
        dirty.drainTo((gpa, length) -> runs.add("0x" + Long.toHexString(gpa) + "+" + length / PAGE_SIZE));
        return runs;
    }

    private void drainInto(BitSet seen) {
        dirty.drainTo((gpa, length) -> seen.set((int) (gpa / PAGE_SIZE), (int) ((gpa + length) / PAGE_SIZE)));
    }
}
