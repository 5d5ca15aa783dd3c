package io.thimble.virtio.balloon;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.Mman;
import io.thimble.linux.abi.VirtioBalloonConstants;
import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class BalloonDeviceTest {
    private static final int SIZE = 4 << 20;
    private static final int PAGE = 4096;
    private static final long FEATURES = (1L << VirtioBalloonConstants.VIRTIO_BALLOON_F_STATS_VQ)
            | (1L << VirtioBalloonConstants.VIRTIO_BALLOON_F_REPORTING);
    private static final int STATISTICS = 2;
    private static final int REPORTING = 3;

    private final Arena arena = Arena.ofShared();
    private final GuestMemory memory = GuestMemory.of(new MemoryRegion(0, Mman.anonymous(arena, SIZE)));
    private final MockMemory places = new MockMemory(memory);
    private final BalloonDevice device = new BalloonDevice(true);
    private final ManualLoop loop = new ManualLoop();
    private final DeviceBench bench = new DeviceBench(device, places, loop);
    private final MockMmioDriver driver = bench.driver();

    @BeforeEach
    void start() {
        driver.start(FEATURES, 32);
        loop.run();
    }

    @AfterEach
    void close() {
        bench.close();
        arena.close();
    }

    private void inflate(long... pfns) {
        ByteBuffer buffer = ByteBuffer.allocate(4 * pfns.length).order(ByteOrder.LITTLE_ENDIAN);
        for (long pfn : pfns) {
            buffer.putInt((int) pfn);
        }
        driver.queue(0).add(Piece.readable(places.allocate(buffer.array()), buffer.capacity()));
        driver.notifyQueue(0);
        loop.run();
        driver.queue(0).takeUsed();
    }

    @Test
    void pages_in_the_balloon_are_gone_and_read_as_zeros() {
        long page = 512;
        memory.putLong(page * PAGE, 77);
        memory.putLong((page + 1) * PAGE, 78);
        memory.putLong((page + 2) * PAGE, 79);
        inflate(page + 1, page);
        assertThat(memory.getLong(page * PAGE)).isZero();
        assertThat(memory.getLong((page + 1) * PAGE)).isZero();
        assertThat(memory.getLong((page + 2) * PAGE)).isEqualTo(79);
        assertThat(device.released()).isEqualTo(2);
    }

    @Test
    void pages_outside_of_the_guest_are_counted_and_left_alone() {
        inflate(0xffff_ffffL, SIZE / PAGE, 0x8000_0000L);
        assertThat(device.released()).isZero();
        assertThat(device.refused()).isEqualTo(3);
        assertThat(driver.status() & VirtioConfigConstants.VIRTIO_CONFIG_S_NEEDS_RESET)
                .isZero();
    }

    @Test
    void a_dirty_bitmap_hears_of_pages_that_became_zeros() {
        memory.dirtyBitmap().enable();
        inflate(600);
        assertThat(memory.dirtyBitmap().isDirty(600L * PAGE)).isTrue();
    }

    @Test
    void of_reported_ranges_whole_pages_go_and_parts_of_pages_stay() {
        long start = 512L * PAGE;
        for (int i = 0; i < 4; i++) {
            memory.putLong(start + (long) i * PAGE + 8, i + 1);
        }
        driver.queue(REPORTING).add(Piece.writable(start + 16, 3 * PAGE));
        driver.notifyQueue(REPORTING);
        loop.run();
        driver.queue(REPORTING).takeUsed();
        assertThat(memory.getLong(start + 8)).isEqualTo(1);
        assertThat(memory.getLong(start + PAGE + 8)).isZero();
        assertThat(memory.getLong(start + 2 * PAGE + 8)).isZero();
        assertThat(memory.getLong(start + 3 * PAGE + 8)).isEqualTo(4);
    }

    @Test
    void the_target_is_told_and_the_drivers_number_kept() {
        driver.takeInterrupts();
        device.setTargetPages(300);
        assertThat(driver.config(0, 4)).isEqualTo(300);
        assertThat(driver.takeInterrupts()).isNotZero();
        driver.writeConfig(4, 4, 299);
        assertThat(device.actualPages()).isEqualTo(299);
        driver.writeConfig(0, 4, 1);
        driver.writeConfig(1000, 4, 1);
        assertThat(device.targetPages()).isEqualTo(300);
    }

    @Test
    void statistics_come_when_asked_for_and_unknown_ones_are_ignored() throws Exception {
        ByteBuffer stats = ByteBuffer.allocate(25).order(ByteOrder.LITTLE_ENDIAN);
        stats.putShort((short) VirtioBalloonConstants.VIRTIO_BALLOON_S_MEMFREE)
                .putLong(1234)
                .putShort((short) 999)
                .putLong(5);
        long at = places.allocate(stats.array());
        driver.queue(STATISTICS).add(Piece.readable(at, 25));
        driver.notifyQueue(STATISTICS);
        loop.run();
        assertThat(driver.queue(STATISTICS).pollUsed()).isEmpty();
        CompletableFuture<BalloonStatistics> answer = new CompletableFuture<>();
        device.askStatistics(answer);
        driver.queue(STATISTICS).takeUsed();
        driver.queue(STATISTICS).add(Piece.readable(at, 25));
        driver.notifyQueue(STATISTICS);
        loop.run();
        BalloonStatistics got = answer.get(10, TimeUnit.SECONDS);
        assertThat(got.free()).hasValue(1234);
        assertThat(got.values()).hasSize(1);
    }

    @Test
    void statistics_that_were_asked_for_in_a_pause_are_not_those_from_before() throws Exception {
        ByteBuffer stats = ByteBuffer.allocate(10).order(ByteOrder.LITTLE_ENDIAN);
        stats.putShort((short) VirtioBalloonConstants.VIRTIO_BALLOON_S_MEMFREE).putLong(1);
        driver.queue(STATISTICS).add(Piece.readable(places.allocate(stats.array()), 10));
        driver.notifyQueue(STATISTICS);
        loop.run();
        bench.core().pause(() -> {});
        loop.run();
        CompletableFuture<BalloonStatistics> answer = new CompletableFuture<>();
        device.askStatistics(answer);
        bench.core().resume();
        loop.run();
        assertThat(answer).isNotDone();
        driver.queue(STATISTICS).takeUsed();
        stats.putLong(2, 2);
        driver.queue(STATISTICS).add(Piece.readable(places.allocate(stats.array()), 10));
        driver.notifyQueue(STATISTICS);
        loop.run();
        assertThat(answer.get(10, TimeUnit.SECONDS).free()).hasValue(2);
    }

    @Test
    void a_driver_that_leaves_many_statistics_buffers_gets_all_but_the_last_back() {
        long at = places.allocate(new byte[10]);
        for (int i = 0; i < 32; i++) {
            driver.queue(STATISTICS).add(Piece.readable(at, 10));
        }
        bench.serve(STATISTICS);
        for (int i = 0; i < 31; i++) {
            driver.queue(STATISTICS).takeUsed();
        }
        assertThat(driver.queue(STATISTICS).hasUsed()).isFalse();
    }
}
