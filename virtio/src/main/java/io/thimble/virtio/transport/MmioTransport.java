package io.thimble.virtio.transport;

import io.thimble.linux.abi.VirtioMmioConstants;

/**
 * virtio over memory-mapped registers, version 2 (virtio 1.2, section 4.2.2): the register map over a
 * {@link TransportCore}.
 *
 * <p>Registers are 4 bytes wide and used so; any other access reads 0 and writes nothing. Only the configuration space, from
 * {@value #CONFIG}, takes 1, 2 and 4 bytes. Called on vCPU threads, several at once.
 */
public final class MmioTransport {
    /** The size of the register window in bytes, configuration space included. */
    public static final int LENGTH = 0x1000;

    /** The offset of the register that a driver notifies a queue by; it writes the queue's index. */
    public static final int QUEUE_NOTIFY = VirtioMmioConstants.VIRTIO_MMIO_QUEUE_NOTIFY;

    /** The offset of the register that a driver acknowledges interrupts by. */
    public static final int INTERRUPT_ACK = VirtioMmioConstants.VIRTIO_MMIO_INTERRUPT_ACK;

    private static final int CONFIG = VirtioMmioConstants.VIRTIO_MMIO_CONFIG;
    private static final int MAGIC = 0x7472_6976; // "virt"
    private static final int VERSION = 2;
    private static final int VENDOR = 0x4c42_4d54; // "TMBL"
    private static final int NO_SHARED_MEMORY = -1; // section 4.2.2: a length of all ones

    private final TransportCore core;
    private volatile int deviceFeaturesSelect;
    private volatile int driverFeaturesSelect;
    private volatile int queueSelect;

    /** Makes the registers of a device. */
    public MmioTransport(TransportCore core) {
        this.core = core;
    }

    /** Returns what is behind the registers. */
    public TransportCore core() {
        return core;
    }

    /**
     * Reads a register, or configuration space.
     *
     * @param offset from the start of the window
     * @param size 1, 2, 4 or 8 bytes
     * @return the value, zero-extended
     */
    public long read(long offset, int size) {
        if (offset >= CONFIG) {
            return readConfig((int) offset - CONFIG, size);
        }
        if (size != Integer.BYTES || (offset & 3) != 0) {
            return 0;
        }
        return Integer.toUnsignedLong(readRegister((int) offset));
    }

    private long readConfig(int offset, int size) {
        if (size == Long.BYTES) {
            return readConfig(offset, Integer.BYTES) | (readConfig(offset + Integer.BYTES, Integer.BYTES) << 32);
        }
        return Integer.toUnsignedLong(core.config().read(offset, size));
    }

    private int readRegister(int offset) {
        return switch (offset) {
            case VirtioMmioConstants.VIRTIO_MMIO_INTERRUPT_STATUS -> core.interruptStatus();
            case VirtioMmioConstants.VIRTIO_MMIO_MAGIC_VALUE -> MAGIC;
            case VirtioMmioConstants.VIRTIO_MMIO_VERSION -> VERSION;
            case VirtioMmioConstants.VIRTIO_MMIO_DEVICE_ID -> core.device().deviceId();
            case VirtioMmioConstants.VIRTIO_MMIO_VENDOR_ID -> VENDOR;
            case VirtioMmioConstants.VIRTIO_MMIO_DEVICE_FEATURES -> deviceFeatures();
            case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_NUM_MAX -> queueNumMax();
            case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_READY -> queueReady();
            case VirtioMmioConstants.VIRTIO_MMIO_STATUS -> core.status();
            case VirtioMmioConstants.VIRTIO_MMIO_SHM_LEN_LOW,
                    VirtioMmioConstants.VIRTIO_MMIO_SHM_LEN_HIGH,
                    VirtioMmioConstants.VIRTIO_MMIO_SHM_BASE_LOW,
                    VirtioMmioConstants.VIRTIO_MMIO_SHM_BASE_HIGH -> NO_SHARED_MEMORY;
            case VirtioMmioConstants.VIRTIO_MMIO_CONFIG_GENERATION ->
                core.config().generation();
            default -> 0;
        };
    }

    private int deviceFeatures() {
        return switch (deviceFeaturesSelect) {
            case 0 -> (int) core.offeredFeatures();
            case 1 -> (int) (core.offeredFeatures() >>> 32);
            default -> 0;
        };
    }

    private int queueNumMax() {
        synchronized (core.lock()) {
            QueueSetup queue = core.queueOrNull(queueSelect);
            return queue == null ? 0 : queue.maxSize;
        }
    }

    private int queueReady() {
        synchronized (core.lock()) {
            QueueSetup queue = core.queueOrNull(queueSelect);
            return queue != null && queue.ready ? 1 : 0;
        }
    }

    /**
     * Writes a register, or configuration space.
     *
     * @param offset from the start of the window
     * @param size 1, 2, 4 or 8 bytes
     * @param value zero-extended
     */
    public void write(long offset, int size, long value) {
        if (offset >= CONFIG) {
            if (size <= Integer.BYTES) {
                core.device().configWritten((int) offset - CONFIG, size, (int) value);
            }
            return;
        }
        if (size == Integer.BYTES && (offset & 3) == 0) {
            writeRegister((int) offset, (int) value);
        }
    }

    private void writeRegister(int offset, int value) {
        switch (offset) {
            case VirtioMmioConstants.VIRTIO_MMIO_INTERRUPT_ACK -> core.acknowledgeInterrupts(value);
            case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_NOTIFY -> core.notifyQueue(value);
            case VirtioMmioConstants.VIRTIO_MMIO_DEVICE_FEATURES_SEL -> deviceFeaturesSelect = value;
            case VirtioMmioConstants.VIRTIO_MMIO_DRIVER_FEATURES_SEL -> driverFeaturesSelect = value;
            case VirtioMmioConstants.VIRTIO_MMIO_DRIVER_FEATURES -> core.setDriverFeatures(driverFeaturesSelect, value);
            case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_SEL -> queueSelect = value;
            case VirtioMmioConstants.VIRTIO_MMIO_STATUS -> writeStatus(value);
            default -> writeQueueRegister(offset, value);
        }
    }

    private void writeStatus(int value) {
        if ((value & 0xff) == 0) {
            deviceFeaturesSelect = 0;
            driverFeaturesSelect = 0;
            queueSelect = 0;
        }
        core.setStatus(value);
    }

    private void writeQueueRegister(int offset, int value) {
        synchronized (core.lock()) {
            QueueSetup queue = core.changeable(queueSelect);
            if (queue == null) {
                return;
            }
            switch (offset) {
                case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_NUM -> queue.size = value;
                case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_READY -> queue.ready = (value & 1) != 0;
                case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_DESC_LOW ->
                    queue.descriptors = withLow(queue.descriptors, value);
                case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_DESC_HIGH ->
                    queue.descriptors = withHigh(queue.descriptors, value);
                case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_AVAIL_LOW -> queue.driver = withLow(queue.driver, value);
                case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_AVAIL_HIGH -> queue.driver = withHigh(queue.driver, value);
                case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_USED_LOW -> queue.device = withLow(queue.device, value);
                case VirtioMmioConstants.VIRTIO_MMIO_QUEUE_USED_HIGH -> queue.device = withHigh(queue.device, value);
                default -> {}
            }
        }
    }

    private static long withLow(long address, int low) {
        return (address & ~0xffff_ffffL) | Integer.toUnsignedLong(low);
    }

    private static long withHigh(long address, int high) {
        return (address & 0xffff_ffffL) | ((long) high << 32);
    }

    /** Returns what a snapshot needs; while the machine is paused. */
    public MmioState state() {
        return new MmioState(deviceFeaturesSelect, driverFeaturesSelect, queueSelect, core.state());
    }

    /**
     * Puts a state back, before the VM runs.
     *
     * @throws IllegalArgumentException if no such device could have been in that state
     */
    public void restore(MmioState state) {
        deviceFeaturesSelect = state.deviceFeaturesSelect();
        driverFeaturesSelect = state.driverFeaturesSelect();
        queueSelect = state.queueSelect();
        core.restore(state.transport());
    }
}
