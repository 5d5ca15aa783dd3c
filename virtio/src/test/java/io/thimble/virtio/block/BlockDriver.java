package io.thimble.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.testing.MockQueue.Used;
import io.thimble.virtio.transport.TransportCore;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A disk behind virtio-mmio registers with a driver that makes one request after the other. */
final class BlockDriver implements AutoCloseable {
    static final int SECTOR = 512;
    /** What stands in the status byte before the device writes it. */
    static final int NO_STATUS = 0xee;

    private static final long RING_PACKED = 1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED;

    final MockMemory places = new MockMemory(32 << 20);
    final List<String> failures = new ArrayList<>();
    final ManualLoop loop = new ManualLoop();
    final BlockDevice device;
    final TransportCore core;
    final MockMmioDriver driver;
    /** The rules that the driver broke. */
    final List<String> resets;

    private boolean closed;

    /** A request that was made available. */
    record Pending(int queue, int head, long status) {}

    BlockDriver(Path path, boolean readOnly, boolean direct, BlockOptions options) {
        this(path, readOnly, direct, options, options.engine()::create);
    }

    BlockDriver(Path path, boolean readOnly, boolean direct, BlockOptions options, BlockDevice.EngineMaker maker) {
        DeviceListener listener = new DeviceListener() {
            @Override
            public void needsReset(String name, String reason) {}

            @Override
            public void hostFailure(String name, String message) {
                failures.add(message);
            }
        };
        device = new BlockDevice("disk0", DiskImage.open(path, readOnly, direct, 0), options, listener, maker);
        DeviceBench bench = new DeviceBench(device, places, loop);
        core = bench.core();
        driver = bench.driver();
        resets = bench.reports();
    }

    /** Starts with all that the device offers, by split queues. */
    BlockDriver start() {
        return start(-1L);
    }

    BlockDriver start(long features) {
        driver.reset();
        driver.start(driver.offeredFeatures() & features & ~RING_PACKED, 64);
        return this;
    }

    static byte[] header(int type, long sector) {
        return ByteBuffer.allocate(16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(type)
                .putInt(0)
                .putLong(sector)
                .array();
    }

    static byte[] segment(long sector, int sectors, int flags) {
        return ByteBuffer.allocate(16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(sector)
                .putInt(sectors)
                .putInt(flags)
                .array();
    }

    /** Makes a request available, not yet notified. */
    Pending queue(int queue, int type, long sector, Piece... data) {
        Piece[] pieces = new Piece[data.length + 2];
        long status = places.allocate(new byte[] {(byte) NO_STATUS});
        pieces[0] = Piece.readable(places.allocate(header(type, sector)), 16);
        System.arraycopy(data, 0, pieces, 1, data.length);
        pieces[pieces.length - 1] = Piece.writable(status, 1);
        return new Pending(queue, driver.queue(queue).addIndirect(pieces), status);
    }

    void notifyQueue(int queue) {
        driver.notifyQueue(queue);
    }

    /** Turns the loop until the device has returned a buffer of queue 0. */
    Used await() {
        return await(0);
    }

    Used await(int queue) {
        Optional<?>[] used = {Optional.empty()};
        loop.runUntil(() -> {
            used[0] = driver.queue(queue).pollUsed();
            return used[0].isPresent();
        });
        return (Used) used[0].orElseThrow();
    }

    int status(Pending request) {
        return places.memory().getByte(request.status()) & 0xff;
    }

    /** Makes a request and waits for its status. */
    int request(int type, long sector, Piece... data) {
        Pending pending = queue(0, type, sector, data);
        notifyQueue(0);
        Used used = await();
        assertThat(used.id()).isEqualTo(pending.head());
        return status(pending);
    }

    int write(long sector, byte[] data) {
        return request(VirtioBlkConstants.VIRTIO_BLK_T_OUT, sector, Piece.readable(places.allocate(data), data.length));
    }

    /** Reads sectors that must be readable. */
    byte[] read(long sector, int length) {
        long at = places.allocate(length, SECTOR);
        assertThat(request(VirtioBlkConstants.VIRTIO_BLK_T_IN, sector, Piece.writable(at, length)))
                .isEqualTo(VirtioBlkConstants.VIRTIO_BLK_S_OK);
        return places.bytes(at, length);
    }

    int flush() {
        return request(VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, 0);
    }

    int range(int type, long sector, int sectors, int flags) {
        return request(type, 0, Piece.readable(places.allocate(segment(sector, sectors, flags)), 16));
    }

    boolean closeDevice() {
        closed = true;
        return core.close(Duration.ofSeconds(20));
    }

    @Override
    public void close() {
        if (!closed) {
            assertThat(closeDevice()).isTrue();
        }
        loop.close();
    }
}
