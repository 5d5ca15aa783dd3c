package io.thimble.virtio.testing;

import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import java.util.ArrayList;
import java.util.List;

/**
 * A driver for a device behind virtio-mmio registers (virtio 1.2, sections 3.1.1 and 4.2.3). Not thread-safe.
 */
public final class MockMmioDriver {
    /** The registers under test. */
    public interface Registers {
        /** Reads {@code size} bytes. */
        long read(long offset, int size);

        /** Writes {@code size} bytes. */
        void write(long offset, int size, long value);
    }

    private final Registers registers;
    private final MockMemory places;
    private final List<MockQueue> queues = new ArrayList<>();
    private boolean packed;

    /** Drives the device behind {@code registers}, with queues in {@code places}. */
    public MockMmioDriver(Registers registers, MockMemory places) {
        this.registers = registers;
        this.places = places;
    }

    /** Reads a register. */
    public int read(int register) {
        return (int) registers.read(register, Integer.BYTES);
    }

    /** Writes a register. */
    public void write(int register, int value) {
        registers.write(register, Integer.BYTES, Integer.toUnsignedLong(value));
    }

    /** Returns the memory's places. */
    public MockMemory places() {
        return places;
    }

    /** Returns all features that the device offers. */
    public long offeredFeatures() {
        write(VirtioMmioConstants.VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
        long low = Integer.toUnsignedLong(read(VirtioMmioConstants.VIRTIO_MMIO_DEVICE_FEATURES));
        write(VirtioMmioConstants.VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
        return low | ((long) read(VirtioMmioConstants.VIRTIO_MMIO_DEVICE_FEATURES) << 32);
    }

    /** Resets the device and acknowledges it. */
    public void reset() {
        write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, 0);
        queues.clear();
        setStatus(VirtioConfigConstants.VIRTIO_CONFIG_S_ACKNOWLEDGE);
        setStatus(VirtioConfigConstants.VIRTIO_CONFIG_S_DRIVER);
    }

    /** Returns the device status field. */
    public int status() {
        return read(VirtioMmioConstants.VIRTIO_MMIO_STATUS);
    }

    /** Adds bits to the device status field. */
    public void setStatus(int bits) {
        write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, status() | bits);
    }

    /** Writes the driver's features and FEATURES_OK; returns whether the device agrees. */
    public boolean negotiate(long features) {
        packed = (features & (1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED)) != 0;
        write(VirtioMmioConstants.VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
        write(VirtioMmioConstants.VIRTIO_MMIO_DRIVER_FEATURES, (int) features);
        write(VirtioMmioConstants.VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
        write(VirtioMmioConstants.VIRTIO_MMIO_DRIVER_FEATURES, (int) (features >>> 32));
        setStatus(VirtioConfigConstants.VIRTIO_CONFIG_S_FEATURES_OK);
        return (status() & VirtioConfigConstants.VIRTIO_CONFIG_S_FEATURES_OK) != 0;
    }

    /** Sets up a queue, of the format that was negotiated. */
    public MockQueue setUpQueue(int index, int size) {
        MockQueue queue = packed ? new MockPackedQueue(places, size) : new MockSplitQueue(places, size);
        setUpQueue(index, size, queue.descriptors(), queue.driver(), queue.device());
        return queue;
    }

    /** Sets up a queue with any addresses. */
    public void setUpQueue(int index, int size, long descriptors, long driver, long device) {
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_SEL, index);
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_NUM, size);
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_DESC_LOW, (int) descriptors);
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_DESC_HIGH, (int) (descriptors >>> 32));
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_AVAIL_LOW, (int) driver);
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (int) (driver >>> 32));
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_USED_LOW, (int) device);
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_USED_HIGH, (int) (device >>> 32));
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_READY, 1);
    }

    /**
     * Initializes the device: reset, features, all its queues, DRIVER_OK.
     *
     * @param features to accept, {@code VIRTIO_F_VERSION_1} besides
     * @param queueSize of each queue, if the device allows so much
     * @throws IllegalStateException if the device refuses the features
     */
    public void start(long features, int queueSize) {
        reset();
        if (!negotiate(features | (1L << VirtioConfigConstants.VIRTIO_F_VERSION_1))) {
            throw new IllegalStateException("the device refuses features 0x" + Long.toHexString(features));
        }
        for (int i = 0; ; i++) {
            write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_SEL, i);
            int most = read(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_NUM_MAX);
            if (most == 0) {
                break;
            }
            queues.add(setUpQueue(i, Math.min(most, queueSize)));
        }
        setStatus(VirtioConfigConstants.VIRTIO_CONFIG_S_DRIVER_OK);
    }

    /** Returns a queue that {@link #start} has set up. */
    public MockQueue queue(int index) {
        return queues.get(index);
    }

    /** Notifies the device of new buffers in a queue. */
    public void notifyQueue(int index) {
        write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_NOTIFY, index);
    }

    /** Reads and acknowledges the interrupts that are pending. */
    public int takeInterrupts() {
        int pending = read(VirtioMmioConstants.VIRTIO_MMIO_INTERRUPT_STATUS);
        write(VirtioMmioConstants.VIRTIO_MMIO_INTERRUPT_ACK, pending);
        return pending;
    }

    /** Reads a value of 1, 2 or 4 bytes from configuration space. */
    public int config(int offset, int size) {
        return (int) registers.read(VirtioMmioConstants.VIRTIO_MMIO_CONFIG + offset, size);
    }

    /** Writes a value of 1, 2 or 4 bytes to configuration space. */
    public void writeConfig(int offset, int size, int value) {
        registers.write(VirtioMmioConstants.VIRTIO_MMIO_CONFIG + offset, size, Integer.toUnsignedLong(value));
    }
}
