package io.thimble.virtio.block;

import io.thimble.linux.abi.VirtioBlkConfigLayout;
import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.linux.abi.VirtioIdsConstants;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.device.DeviceInterrupt;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.device.RateLimits;
import io.thimble.virtio.device.Throttle;
import io.thimble.virtio.device.VirtioDevice;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The block device (virtio 1.2, section 5.2): a disk of the guest on an image of the host.
 *
 * <p>Beyond {@link VirtioDevice}'s methods, those of {@link BlockHandle} may be called from any thread, until the device is
 * closed. Changes of the configuration space take {@code configLock}, for moments.
 */
public final class BlockDevice implements VirtioDevice, BlockHandle {
    private final String name;
    private final DiskImage image;
    private final BlockOptions options;
    private final BlockEngine engine;
    private final DeviceListener listener;
    private final Throttle throttle;
    private final BlockCounters counters = new BlockCounters();
    private final ConfigSpace config;
    private final Object configLock = new Object();

    private volatile long capacity;
    private volatile boolean writeback;
    private volatile @Nullable DeviceInterrupt interrupt;
    private volatile @Nullable BlockQueues working;

    /**
     * What a disk holds beyond its queues; what is written lies in the image.
     *
     * @param capacity in sectors, as the driver knows it
     * @param writeback whether the driver has the write cache on
     */
    public record State(long capacity, boolean writeback) {}

    /**
     * Makes a disk.
     *
     * @param name what users call it, for example {@code disk0}
     * @param image is closed with the device, or here if this throws
     * @param listener is told of failures of the host
     * @throws io.thimble.linux.LinuxException if the engine cannot be had, with the remedy
     */
    public BlockDevice(String name, DiskImage image, BlockOptions options, DeviceListener listener) {
        this(name, image, options, listener, options.engine()::create);
    }

    /** Makes the engine of an image. */
    @FunctionalInterface
    interface EngineMaker {
        BlockEngine create(String name, DiskImage image);
    }

    /** As the other, with any engine. */
    BlockDevice(String name, DiskImage image, BlockOptions options, DeviceListener listener, EngineMaker maker) {
        this.name = name;
        this.image = image;
        this.options = options;
        this.listener = listener;
        try {
            this.engine = maker.create(name, image);
            this.config = BlockConfig.space(image, options);
            this.capacity = BlockConfig.sectors(image);
        } catch (RuntimeException e) {
            image.close();
            throw e;
        }
        this.throttle = new Throttle(name, options.limits());
        this.writeback = !options.writeThrough();
    }

    @Override
    public int deviceId() {
        return VirtioIdsConstants.VIRTIO_ID_BLOCK;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public long features() {
        return BlockConfig.features(image, options);
    }

    @Override
    public int queueCount() {
        return options.queues();
    }

    @Override
    public int maxQueueSize(int index) {
        return BlockConfig.QUEUE_SIZE;
    }

    @Override
    public ConfigSpace config() {
        return config;
    }

    /** The write cache is all that a driver may change, and only where that was offered (section 5.2.5). */
    @Override
    public void configWritten(int offset, int size, int value) {
        boolean offered = (features() & (1L << VirtioBlkConstants.VIRTIO_BLK_F_CONFIG_WCE)) != 0;
        if (offered && offset == VirtioBlkConfigLayout.OFFSETOF_WCE && size == 1) {
            setWriteback((value & 0xff) != 0);
        }
    }

    private void setWriteback(boolean on) {
        synchronized (configLock) {
            writeback = on;
            BlockConfig.setWriteback(config, on);
        }
    }

    long capacity() {
        return capacity;
    }

    /** Without the flush feature a driver cannot ask for durability: then every write has it (section 5.2.6.2). */
    boolean isWriteThrough() {
        return !writeback;
    }

    @Override
    public void activate(Activation activation) {
        if (!activation.has(VirtioBlkConstants.VIRTIO_BLK_F_FLUSH)) {
            setWriteback(false);
        }
        BlockQueues started = new BlockQueues(this, activation, image, engine, throttle, counters, options, listener);
        interrupt = activation.interrupt();
        working = started;
        started.start();
    }

    @Override
    public boolean queueNotified(int index) {
        BlockQueues now = working;
        return now != null && now.notified(index);
    }

    @Override
    public void reset(Runnable stopped) {
        BlockQueues now = working;
        if (now == null) {
            stopped.run();
            return;
        }
        interrupt = null;
        now.stop(() -> {
            working = null;
            setWriteback(!options.writeThrough());
            stopped.run();
        });
    }

    @Override
    public void pause(Runnable quiet) {
        BlockQueues now = working;
        if (now == null) {
            quiet.run();
        } else {
            now.pause(quiet);
        }
    }

    @Override
    public void resume() {
        BlockQueues now = working;
        if (now != null) {
            now.resume();
        }
    }

    @Override
    public State state() {
        return new State(capacity, writeback);
    }

    @Override
    public void restore(Record state) {
        if (!(state instanceof State saved)) {
            throw new IllegalArgumentException("no state of a block device: " + state);
        }
        if (saved.capacity() != capacity) {
            throw new IllegalArgumentException(name + ": " + image.path() + " has " + capacity + " sectors, and had "
                    + saved.capacity() + " when its state was saved");
        }
        setWriteback(saved.writeback());
    }

    @Override
    public boolean close(Duration deadline) {
        boolean ended = engine.close(deadline);
        BlockQueues now = working;
        if (now != null) {
            now.close(ended);
        }
        throttle.close();
        if (ended) {
            image.close();
        } else {
            image.abandon();
            listener.hostFailure(name, "I/O on " + image.path() + " has not ended: its buffers stay in memory");
        }
        return ended;
    }

    @Override
    public String path() {
        return image.path();
    }

    @Override
    public String engine() {
        return engine.name();
    }

    @Override
    public long size() {
        return capacity * DiskImage.SECTOR;
    }

    @Override
    public void resize(long bytes) {
        synchronized (configLock) {
            image.grow(bytes);
            rescan();
        }
    }

    @Override
    public long rescan() {
        synchronized (configLock) {
            long sectors = BlockConfig.sectors(image);
            if (sectors != capacity) {
                capacity = sectors;
                BlockConfig.setCapacity(config, sectors);
                DeviceInterrupt driver = interrupt;
                if (driver != null) {
                    driver.signalConfig();
                }
            }
            return sectors * DiskImage.SECTOR;
        }
    }

    @Override
    public RateLimits limits() {
        return throttle.limits();
    }

    @Override
    public void setLimits(RateLimits limits) {
        throttle.setLimits(limits);
        BlockQueues now = working;
        if (now != null) {
            now.wake();
        }
    }

    @Override
    public BlockMetrics metrics() {
        return counters.snapshot();
    }

    @Override
    public String toString() {
        return name + " on " + image + " by " + engine.name();
    }
}
