package io.thimble.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.thimble.linux.abi.VirtioBlkConfigLayout;
import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.device.RateLimits;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

class BlockDeviceTest {
    private static final int OK = VirtioBlkConstants.VIRTIO_BLK_S_OK;
    private static final int IOERR = VirtioBlkConstants.VIRTIO_BLK_S_IOERR;
    private static final int SIZE = 4 << 20;
    private static final long FLUSH = 1L << VirtioBlkConstants.VIRTIO_BLK_F_FLUSH;
    private static final long CONFIG_WCE = 1L << VirtioBlkConstants.VIRTIO_BLK_F_CONFIG_WCE;

    @TempDir
    Path dir;

    private Path path;

    @BeforeEach
    void create() throws IOException {
        path = dir.resolve("image");
        setSize(SIZE);
    }

    private void setSize(long size) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(size);
        }
    }

    private static BlockOptions options(BlockEngineKind engine) {
        return new BlockOptions(engine, false, 1, "serial-1", RateLimits.NONE);
    }

    private BlockDriver disk(BlockEngineKind engine, boolean direct) {
        return new BlockDriver(path, false, direct, options(engine)).start();
    }

    private BlockDriver disk() {
        return disk(BlockEngineKind.AUTO, false);
    }

    private static byte[] random(long seed, int length) {
        byte[] bytes = new byte[length];
        new SplittableRandom(seed).nextBytes(bytes);
        return bytes;
    }

    @ParameterizedTest
    @EnumSource(value = BlockEngineKind.class, mode = Mode.EXCLUDE, names = "AUTO")
    void a_loop_that_is_awake_finds_requests_without_a_notification_and_asks_for_it_before_it_sleeps(
            BlockEngineKind engine) {
        long noEventIndex = ~(1L << VirtioRingConstants.VIRTIO_RING_F_EVENT_IDX);
        try (BlockDriver disk = new BlockDriver(path, false, false, options(engine)).start(noEventIndex)) {
            MockQueue queue = disk.driver.queue(0);
            disk.loop.run();
            assertThat(disk.loop.poll()).isFalse();
            BlockDriver.Pending first = disk.queue(0, VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
            assertThat(queue.mustNotify(false)).as("asleep").isTrue();
            assertThat(disk.loop.poll()).isTrue();
            BlockDriver.Pending second = disk.queue(0, VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
            assertThat(queue.mustNotify(false)).as("awake").isFalse();
            assertThat(List.of(disk.await().id(), disk.await().id()))
                    .containsExactlyInAnyOrder(first.head(), second.head());
            assertThat(disk.status(first)).isEqualTo(OK);
            assertThat(disk.status(second)).isEqualTo(OK);
            disk.loop.run();
            BlockDriver.Pending _ = disk.queue(0, VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
            assertThat(queue.mustNotify(false)).as("asleep again").isTrue();
        }
    }

    @ParameterizedTest
    @CsvSource({"IO_URING, false", "IO_URING, true", "THREADS, false", "THREADS, true"})
    void reads_what_was_written(BlockEngineKind engine, boolean direct) throws IOException {
        try (BlockDriver disk = disk(engine, direct)) {
            byte[] data = random(1, 64 * 1024);
            assertThat(disk.write(8, data)).isEqualTo(OK);
            assertThat(disk.flush()).isEqualTo(OK);
            assertThat(disk.read(8, data.length)).isEqualTo(data);
            assertThat(Arrays.copyOfRange(Files.readAllBytes(path), 8 * 512, 8 * 512 + data.length))
                    .isEqualTo(data);
            assertThat(disk.device.engine()).isEqualTo(engine == BlockEngineKind.THREADS ? "threads" : "io_uring");
            BlockMetrics metrics = disk.device.metrics();
            assertThat(metrics.writes()).isEqualTo(1);
            assertThat(metrics.writtenBytes()).isEqualTo(data.length);
            assertThat(metrics.reads()).isEqualTo(1);
            assertThat(metrics.flushes()).isEqualTo(1);
            assertThat(disk.driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_VRING);
        }
    }

    /** Buffers that direct I/O cannot use, in many requests at once: all go through the one buffer. */
    @ParameterizedTest
    @EnumSource(value = BlockEngineKind.class, mode = Mode.EXCLUDE, names = "AUTO")
    void direct_disks_take_unaligned_buffers(BlockEngineKind engine) {
        try (BlockDriver disk = disk(engine, true)) {
            int length = (1 << 20) + 8192;
            byte[] data = random(2, length);
            long at = disk.places.allocate(length + 1L, 4096) + 1;
            disk.places.memory().write(at, data, 0, length);
            // Cut at an odd place, so that no piece is aligned.
            assertThat(disk.request(
                            VirtioBlkConstants.VIRTIO_BLK_T_OUT,
                            0,
                            Piece.readable(at, 1001),
                            Piece.readable(at + 1001, length - 1001)))
                    .isEqualTo(OK);

            List<BlockDriver.Pending> pending = new ArrayList<>();
            long[] places = new long[6];
            for (int i = 0; i < places.length; i++) {
                places[i] = disk.places.allocate(length + 1L, 4096) + 1;
                pending.add(disk.queue(0, VirtioBlkConstants.VIRTIO_BLK_T_IN, 0, Piece.writable(places[i], length)));
            }
            disk.notifyQueue(0);
            for (int i = 0; i < places.length; i++) {
                disk.await();
            }
            for (int i = 0; i < places.length; i++) {
                assertThat(disk.status(pending.get(i))).isEqualTo(OK);
                assertThat(disk.places.bytes(places[i], length)).isEqualTo(data);
            }
            assertThat(disk.device.metrics().bounced()).isEqualTo(2 * 7);
        }
    }

    @ParameterizedTest
    @EnumSource(value = BlockEngineKind.class, mode = Mode.EXCLUDE, names = "AUTO")
    void many_requests_at_once_agree_with_a_model(BlockEngineKind engine) {
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        byte[] model = new byte[1 << 20];
        try (BlockDriver disk = disk(engine, random.nextBoolean())) {
            for (int round = 0; round < 30; round++) {
                List<BlockDriver.Pending> pending = new ArrayList<>();
                List<long[]> reads = new ArrayList<>();
                int count = 1 + random.nextInt(40);
                // Each request has its own part of the disk, since requests of one batch have no order.
                int part = model.length / 40;
                for (int i = 0; i < count; i++) {
                    int sectors = 1 + random.nextInt(part / 512 - 1);
                    int offset = (i * part + 511) & -512;
                    int length = Math.min(sectors * 512, ((i + 1) * part & -512) - offset);
                    boolean write = random.nextBoolean();
                    long at = disk.places.allocate(length, 512);
                    Piece[] pieces = pieces(random, at, length, !write);
                    if (write) {
                        byte[] data = random(random.nextLong(), length);
                        disk.places.memory().write(at, data, 0, length);
                        System.arraycopy(data, 0, model, offset, length);
                    } else {
                        reads.add(new long[] {at, offset, length});
                    }
                    int type = write ? VirtioBlkConstants.VIRTIO_BLK_T_OUT : VirtioBlkConstants.VIRTIO_BLK_T_IN;
                    pending.add(disk.queue(0, type, offset / 512, pieces));
                }
                disk.notifyQueue(0);
                for (int i = 0; i < count; i++) {
                    disk.await();
                }
                assertThat(pending).as("seed %d", seed).allMatch(request -> disk.status(request) == OK);
                for (long[] read : reads) {
                    assertThat(disk.places.bytes(read[0], (int) read[2]))
                            .as("seed %d", seed)
                            .isEqualTo(Arrays.copyOfRange(model, (int) read[1], (int) (read[1] + read[2])));
                }
            }
        }
    }

    private static Piece[] pieces(SplittableRandom random, long at, int length, boolean writable) {
        List<Piece> pieces = new ArrayList<>();
        int done = 0;
        while (done < length) {
            int size = pieces.size() == 20 ? length - done : Math.min(length - done, 512 * (1 + random.nextInt(16)));
            pieces.add(new Piece(at + done, size, writable));
            done += size;
        }
        return pieces.toArray(Piece[]::new);
    }

    @Test
    void one_interrupt_tells_of_a_batch() {
        int[] interrupts = {0};
        try (BlockDriver disk = disk()) {
            for (int i = 0; i < 20; i++) {
                disk.queue(
                        0, VirtioBlkConstants.VIRTIO_BLK_T_GET_ID, 0, Piece.writable(disk.places.allocate(20, 1), 20));
            }
            disk.notifyQueue(0);
            for (int i = 0; i < 20; i++) {
                disk.await();
                interrupts[0] += disk.driver.takeInterrupts() == 0 ? 0 : 1;
            }
            assertThat(interrupts[0]).isEqualTo(1);
        }
    }

    @Test
    void identifies_itself() {
        try (BlockDriver disk = disk()) {
            long at = disk.places.allocate(20, 1);
            assertThat(disk.request(VirtioBlkConstants.VIRTIO_BLK_T_GET_ID, 0, Piece.writable(at, 20)))
                    .isEqualTo(OK);
            assertThat(new String(disk.places.bytes(at, 20), StandardCharsets.UTF_8))
                    .isEqualTo("serial-1" + "\0".repeat(12));
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new BlockOptions(BlockEngineKind.AUTO, false, 1, "x".repeat(21), RateLimits.NONE))
                .withMessageContaining("at most 20");
    }

    @ParameterizedTest
    @EnumSource(value = BlockEngineKind.class, mode = Mode.EXCLUDE, names = "AUTO")
    void discards_and_zeroes(BlockEngineKind engine) throws IOException {
        try (BlockDriver disk = disk(engine, false)) {
            byte[] data = random(3, 256 * 1024);
            assertThat(disk.write(0, data)).isEqualTo(OK);
            assertThat(disk.flush()).isEqualTo(OK);
            long before = allocated();
            assertThat(disk.range(VirtioBlkConstants.VIRTIO_BLK_T_DISCARD, 0, 256, 0))
                    .isEqualTo(OK);
            assertThat(allocated()).isEqualTo(before - 128 * 1024);
            assertThat(disk.read(0, 128 * 1024)).containsOnly(0);

            assertThat(disk.range(VirtioBlkConstants.VIRTIO_BLK_T_WRITE_ZEROES, 256, 100, 0))
                    .isEqualTo(OK);
            assertThat(disk.read(256, 51200)).containsOnly(0);
            assertThat(disk.read(356, 512)).isEqualTo(Arrays.copyOfRange(data, 356 * 512, 357 * 512));
            assertThat(disk.range(VirtioBlkConstants.VIRTIO_BLK_T_WRITE_ZEROES, 356, 156, 1))
                    .isEqualTo(OK);
            assertThat(disk.read(356, 156 * 512)).containsOnly(0);
            assertThat(disk.device.metrics().discards()).isEqualTo(3);
            assertThat(Files.size(path)).isEqualTo(SIZE);
        }
    }

    /** tmpfs has no FALLOC_FL_ZERO_RANGE. */
    @Test
    void zeroes_by_writing_where_the_file_system_cannot() throws IOException {
        path = Files.createTempFile(Path.of("/dev/shm"), "thimble-disk", ".img");
        try {
            setSize(SIZE);
            try (BlockDriver disk = disk()) {
                byte[] data = random(6, SIZE / 4);
                for (int i = 0; i < 4; i++) {
                    assertThat(disk.write(i * (long) data.length / 512, data)).isEqualTo(OK);
                }
                int sectors = SIZE / 512 - 20;
                assertThat(disk.range(VirtioBlkConstants.VIRTIO_BLK_T_WRITE_ZEROES, 10, sectors, 0))
                        .isEqualTo(OK);
                assertThat(disk.device.metrics().discards()).isEqualTo(1);
            }
            byte[] now = Files.readAllBytes(path);
            assertThat(Arrays.copyOfRange(now, 10 * 512, SIZE - 10 * 512)).containsOnly(0);
            assertThat(Arrays.copyOf(now, 10 * 512)).isEqualTo(Arrays.copyOf(random(6, SIZE / 4), 10 * 512));
        } finally {
            Files.delete(path);
        }
    }

    private long allocated() throws IOException {
        Process stat = new ProcessBuilder("stat", "-c", "%b", path.toString()).start();
        String blocks = new String(stat.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
        return Long.parseLong(blocks.strip()) * 512;
    }

    @Test
    void a_read_only_disk_is_never_written() throws IOException {
        Files.write(path, random(4, SIZE));
        byte[] before = Files.readAllBytes(path);
        try (BlockDriver disk = new BlockDriver(path, true, false, options(BlockEngineKind.AUTO)).start()) {
            assertThat(disk.driver.offeredFeatures() & (1L << VirtioBlkConstants.VIRTIO_BLK_F_RO))
                    .isNotZero();
            assertThat(disk.write(0, new byte[512])).isEqualTo(IOERR);
            assertThat(disk.range(VirtioBlkConstants.VIRTIO_BLK_T_DISCARD, 0, 8, 0))
                    .isEqualTo(IOERR);
            assertThat(disk.flush()).isEqualTo(OK);
            assertThat(disk.read(0, 4096)).isEqualTo(Arrays.copyOf(before, 4096));
            assertThat(disk.device.metrics().refused()).isEqualTo(2);
        }
        assertThat(Files.readAllBytes(path)).isEqualTo(before);
    }

    @Test
    void the_driver_chooses_the_write_cache() {
        int wce = (int) VirtioBlkConfigLayout.OFFSETOF_WCE;
        try (BlockDriver disk = disk()) {
            assertThat(disk.driver.config(wce, 1)).isEqualTo(1);
            assertThat(disk.device.isWriteThrough()).isFalse();
            disk.driver.writeConfig(wce, 1, 0);
            assertThat(disk.device.isWriteThrough()).isTrue();
            assertThat(disk.driver.config(wce, 1)).isZero();
            assertThat(disk.write(0, new byte[512])).isEqualTo(OK);
            assertThat(disk.range(VirtioBlkConstants.VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0))
                    .isEqualTo(OK);
            disk.driver.writeConfig(wce, 4, 1);
            disk.driver.writeConfig(0, 1, 77);
            assertThat(disk.device.isWriteThrough()).isTrue();
            assertThat(disk.device.size()).isEqualTo(SIZE);

            disk.start(~(FLUSH | CONFIG_WCE));
            disk.loop.run();
            assertThat(disk.device.isWriteThrough()).isTrue();
            disk.start();
            disk.loop.run();
            assertThat(disk.device.isWriteThrough()).isFalse();
        }
        BlockOptions through = new BlockOptions(BlockEngineKind.AUTO, true, 1, "", RateLimits.NONE);
        try (BlockDriver disk = new BlockDriver(path, false, false, through).start()) {
            assertThat(disk.driver.offeredFeatures() & (FLUSH | CONFIG_WCE)).isZero();
            disk.driver.writeConfig(wce, 1, 1);
            assertThat(disk.device.isWriteThrough()).isTrue();
            assertThat(disk.write(0, new byte[512])).isEqualTo(OK);
        }
    }

    @Test
    void grows_under_the_driver() throws IOException {
        try (BlockDriver disk = disk()) {
            disk.loop.run();
            disk.driver.takeInterrupts();
            int generation = disk.driver.read(VirtioMmioConstants.VIRTIO_MMIO_CONFIG_GENERATION);
            disk.device.resize(2 * SIZE);
            assertThat(disk.driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG);
            assertThat(disk.driver.config(0, 4)).isEqualTo(2 * SIZE / 512);
            assertThat(disk.driver.read(VirtioMmioConstants.VIRTIO_MMIO_CONFIG_GENERATION))
                    .isNotEqualTo(generation);
            assertThat(disk.write(2 * SIZE / 512 - 1, random(5, 512))).isEqualTo(OK);

            setSize(3 * SIZE + 100);
            assertThat(disk.device.rescan()).isEqualTo(3 * SIZE);
            assertThat(disk.device.size()).isEqualTo(3 * SIZE);
            assertThat(disk.read(3 * SIZE / 512 - 1, 512)).containsOnly(0);
        }
    }

    @ParameterizedTest
    @EnumSource(value = BlockEngineKind.class, mode = Mode.EXCLUDE, names = "AUTO")
    void a_file_that_was_cut_off_fails_requests_and_nothing_else(BlockEngineKind engine) throws IOException {
        try (BlockDriver disk = disk(engine, false)) {
            setSize(4096);
            long at = disk.places.allocate(8192, 512);
            for (int i = 0; i < 3; i++) {
                assertThat(disk.request(VirtioBlkConstants.VIRTIO_BLK_T_IN, 0, Piece.writable(at, 8192)))
                        .isEqualTo(IOERR);
            }
            assertThat(disk.failures)
                    .singleElement()
                    .asString()
                    .contains("read of 8192 bytes at 0")
                    .contains("cut off on the host");
            assertThat(disk.device.metrics().errors()).isEqualTo(3);
            assertThat(disk.read(0, 4096)).containsOnly(0);
            assertThat(disk.driver.status() & VirtioConfigConstants.VIRTIO_CONFIG_S_NEEDS_RESET)
                    .isZero();
        }
    }

    @Test
    void rates_hold_requests_back_and_change_at_once() {
        BlockOptions slow = new BlockOptions(BlockEngineKind.AUTO, false, 1, "", new RateLimits(0, 0, 1, 5));
        try (BlockDriver disk = new BlockDriver(path, false, false, slow).start()) {
            for (int i = 0; i < 10; i++) {
                disk.queue(0, VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
            }
            disk.notifyQueue(0);
            for (int i = 0; i < 5; i++) {
                disk.await();
            }
            disk.loop.run();
            assertThat(disk.device.metrics().throttled()).isPositive();
            int done = 5;
            while (disk.driver.queue(0).pollUsed().isPresent()) {
                done++;
            }
            assertThat(done).isLessThan(10);

            disk.device.setLimits(RateLimits.NONE);
            for (int i = done; i < 10; i++) {
                disk.await();
            }
            disk.device.setLimits(RateLimits.of(1 << 20, 0));
            for (int i = 0; i < 6; i++) {
                assertThat(disk.write(0, new byte[32 * 1024])).isEqualTo(OK);
            }
            assertThat(disk.device.limits()).isEqualTo(RateLimits.of(1 << 20, 0));
        }
    }

    @Test
    void serves_all_queues() {
        BlockOptions four = new BlockOptions(BlockEngineKind.AUTO, false, 4, "", RateLimits.NONE);
        try (BlockDriver disk = new BlockDriver(path, false, false, four).start()) {
            assertThat(disk.driver.config((int) VirtioBlkConfigLayout.OFFSETOF_NUM_QUEUES, 2))
                    .isEqualTo(4);
            for (int queue = 0; queue < 4; queue++) {
                BlockDriver.Pending pending = disk.queue(queue, VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
                disk.notifyQueue(queue);
                disk.await(queue);
                assertThat(disk.status(pending)).isEqualTo(OK);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = BlockEngineKind.class, mode = Mode.EXCLUDE, names = "AUTO")
    void pause_ends_what_is_under_way_and_takes_nothing_new(BlockEngineKind engine) {
        try (BlockDriver disk = disk(engine, true)) {
            disk.loop.run();
            List<BlockDriver.Pending> before = new ArrayList<>();
            for (int i = 0; i < 30; i++) {
                before.add(disk.queue(
                        0,
                        VirtioBlkConstants.VIRTIO_BLK_T_IN,
                        i * 64L,
                        Piece.writable(disk.places.allocate(32768, 4096), 32768)));
            }
            boolean more = disk.device.queueNotified(0);
            assertThat(more).isFalse();
            boolean[] quiet = {false};
            disk.core.pause(() -> quiet[0] = true);
            disk.loop.runUntil(() -> quiet[0]);
            assertThat(before).allMatch(request -> disk.status(request) == OK);

            BlockDriver.Pending late = disk.queue(0, VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
            disk.notifyQueue(0);
            disk.loop.run();
            assertThat(disk.status(late)).isEqualTo(BlockDriver.NO_STATUS);
            disk.core.resume();
            disk.loop.runUntil(() -> disk.status(late) == OK);
        }
    }

    @ParameterizedTest
    @EnumSource(value = BlockEngineKind.class, mode = Mode.EXCLUDE, names = "AUTO")
    void reset_forgets_what_is_under_way(BlockEngineKind engine) {
        try (BlockDriver disk = disk(engine, true)) {
            for (int round = 0; round < 20; round++) {
                List<BlockDriver.Pending> pending = new ArrayList<>();
                for (int i = 0; i < 20; i++) {
                    pending.add(disk.queue(
                            0,
                            VirtioBlkConstants.VIRTIO_BLK_T_IN,
                            i * 64L,
                            Piece.writable(disk.places.allocate(8192, 4096), 8192)));
                }
                disk.notifyQueue(0);
                disk.loop.run();
                // On the loop's thread a reset does not wait.
                disk.driver.write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, 0);
                disk.loop.runUntil(() -> disk.driver.status() == 0);
                long done = pending.stream().filter(p -> disk.status(p) == OK).count();
                disk.loop.run();
                assertThat(pending.stream().filter(p -> disk.status(p) == OK).count())
                        .isEqualTo(done);
                disk.start();
            }
            assertThat(disk.flush()).isEqualTo(OK);
        }
    }

    @Test
    void a_driver_that_breaks_the_rules_needs_a_reset_and_can_go_on() {
        try (BlockDriver disk = disk()) {
            BlockDriver.Pending good = disk.queue(0, VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
            disk.driver.queue(0).add(Piece.writable(GuestMemory.PAGE_SIZE, 512));
            disk.notifyQueue(0);
            disk.loop.runUntil(() -> disk.status(good) == OK);
            disk.loop.run();
            assertThat(disk.resets).singleElement().asString().contains("no room for header and status");
            assertThat(disk.driver.status() & VirtioConfigConstants.VIRTIO_CONFIG_S_NEEDS_RESET)
                    .isNotZero();
            disk.start();
            assertThat(disk.flush()).isEqualTo(OK);
        }
    }

    @Test
    void state_goes_to_a_new_device_with_the_same_image() {
        BlockDevice.State saved;
        try (BlockDriver disk = disk()) {
            disk.driver.writeConfig((int) VirtioBlkConfigLayout.OFFSETOF_WCE, 1, 0);
            saved = disk.device.state();
        }
        assertThat(saved).isEqualTo(new BlockDevice.State(SIZE / 512, false));
        try (BlockDriver disk = new BlockDriver(path, false, false, options(BlockEngineKind.AUTO))) {
            disk.device.restore(saved);
            assertThat(disk.device.isWriteThrough()).isTrue();
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> disk.device.restore(new BlockDevice.State(1, true)))
                    .withMessageContaining("had 1 when its state was saved");
        }
    }

    @Test
    void closes_with_io_under_way_and_frees_the_lock() {
        try (BlockDriver disk = disk(BlockEngineKind.IO_URING, true)) {
            for (int i = 0; i < 30; i++) {
                disk.queue(
                        0,
                        VirtioBlkConstants.VIRTIO_BLK_T_IN,
                        0,
                        Piece.writable(disk.places.allocate(1 << 19, 4096), 1 << 19));
            }
            boolean _ = disk.device.queueNotified(0);
            assertThat(disk.closeDevice()).isTrue();
            DiskImage.open(path, false, false, 0).close();
        }
    }

    private BlockDriver disk(BlockEngine engine) {
        return new BlockDriver(path, false, false, options(BlockEngineKind.AUTO), (_, _) -> engine).start();
    }

    private static BlockDriver.Pending queueFlush(BlockDriver disk) {
        BlockDriver.Pending request = disk.queue(0, VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
        disk.notifyQueue(0);
        disk.loop.run();
        return request;
    }

    @Test
    void io_that_does_not_end_is_reported_and_its_request_left_alone() {
        try (StuckEngine engine = new StuckEngine();
                BlockDriver disk = disk(engine)) {
            BlockDriver.Pending request = queueFlush(disk);
            assertThat(engine.inFlight()).isEqualTo(1);
            assertThat(disk.closeDevice()).as("all I/O has ended").isFalse();
            assertThat(disk.failures).singleElement().asString().contains("has not ended");
            assertThat(disk.status(request)).isEqualTo(BlockDriver.NO_STATUS);
        }
    }

    @Test
    void a_reset_is_over_when_io_that_was_stuck_has_ended() {
        try (StuckEngine engine = new StuckEngine();
                BlockDriver disk = disk(engine)) {
            BlockDriver.Pending request = queueFlush(disk);
            List<String> ended = new ArrayList<>();
            disk.device.reset(() -> ended.add("ended"));
            disk.loop.run();
            assertThat(ended).isEmpty();
            engine.letGo();
            disk.loop.run();
            assertThat(ended).containsExactly("ended");
            assertThat(disk.status(request)).as("not for the driver any more").isEqualTo(BlockDriver.NO_STATUS);
        }
    }
}
