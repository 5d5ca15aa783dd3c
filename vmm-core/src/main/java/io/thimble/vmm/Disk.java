package io.thimble.vmm;

import io.thimble.virtio.block.BlockEngineKind;
import io.thimble.virtio.block.BlockOptions;
import io.thimble.virtio.device.RateLimits;
import java.nio.file.Path;

/**
 * A disk of a VM: a raw image or a block device of the host. Begin with {@link #of} and change what is to differ:
 *
 * {@snippet :
 * MicroVm.builder().disk(Disk.of(path).readOnly(true).limits(RateLimits.of(100 << 20, 0)))
 * }
 *
 * <p>The guest finds the disks in the order in which the builder got them: {@code /dev/vda}, {@code /dev/vdb}, ... A writable
 * image is locked against every other user, in this process and in others (and QEMU), a read-only one against writers.
 *
 * @param path of the image; its size, or the device's, is the disk's
 * @param readOnly whether the guest can write
 * @param direct whether I/O bypasses the host's page cache ({@code O_DIRECT}): for images that are large or whose guest
 *     caches by itself
 * @param engine how I/O is done on the host
 * @param writeThrough whether each write is on stable storage before the guest is told that it is done; otherwise that is so
 *     after the guest has flushed
 * @param queues how many queues the guest may use, 1 to 16; it uses one for each of its CPUs
 * @param blockSize the smallest unit of I/O for the guest in bytes, a power of 2 from 512 to 65536; 0 for what the host needs
 * @param serial what the guest reads as {@code /sys/block/vda/serial}; at most 20 bytes, may be empty
 * @param limits of its rate; {@link MicroVm#disks} changes them while the VM runs
 */
public record Disk(
        Path path,
        boolean readOnly,
        boolean direct,
        BlockEngineKind engine,
        boolean writeThrough,
        int queues,
        int blockSize,
        String serial,
        RateLimits limits) {
    private static final int LEAST_BLOCK = 512;
    private static final int LARGEST_BLOCK = 65536;

    /**
     * Checks the ranges.
     *
     * @throws MicroVmException if one is left, with the remedy
     */
    public Disk {
        if (blockSize != 0
                && (blockSize < LEAST_BLOCK || blockSize > LARGEST_BLOCK || Integer.bitCount(blockSize) != 1)) {
            throw new MicroVmException(
                    MicroVmException.Problem.CONFIGURATION,
                    path + ": blocks of " + blockSize + " bytes - use a power of 2 from 512 to 65536");
        }
        options(path, engine, writeThrough, queues, serial, limits);
    }

    private static BlockOptions options(
            Path path, BlockEngineKind engine, boolean writeThrough, int queues, String serial, RateLimits limits) {
        try {
            return new BlockOptions(engine, writeThrough, queues, serial, limits);
        } catch (IllegalArgumentException e) {
            throw new MicroVmException(MicroVmException.Problem.CONFIGURATION, path + ": " + e.getMessage(), e);
        }
    }

    /** A writable disk with one queue, through the host's page cache, flushed when the guest says so, without limits. */
    public static Disk of(Path path) {
        return new Disk(path, false, false, BlockEngineKind.AUTO, false, 1, 0, "", RateLimits.NONE);
    }

    /** Changes whether the guest can only read. */
    public Disk readOnly(boolean value) {
        return new Disk(path, value, direct, engine, writeThrough, queues, blockSize, serial, limits);
    }

    /** Changes whether I/O bypasses the host's page cache. */
    public Disk direct(boolean value) {
        return new Disk(path, readOnly, value, engine, writeThrough, queues, blockSize, serial, limits);
    }

    /** Changes how I/O is done. */
    public Disk engine(BlockEngineKind value) {
        return new Disk(path, readOnly, direct, value, writeThrough, queues, blockSize, serial, limits);
    }

    /** Changes whether writes wait for stable storage. */
    public Disk writeThrough(boolean value) {
        return new Disk(path, readOnly, direct, engine, value, queues, blockSize, serial, limits);
    }

    /** Changes the number of queues. */
    public Disk queues(int value) {
        return new Disk(path, readOnly, direct, engine, writeThrough, value, blockSize, serial, limits);
    }

    /** Changes the block size. */
    public Disk blockSize(int value) {
        return new Disk(path, readOnly, direct, engine, writeThrough, queues, value, serial, limits);
    }

    /** Changes the serial. */
    public Disk serial(String value) {
        return new Disk(path, readOnly, direct, engine, writeThrough, queues, blockSize, value, limits);
    }

    /** Changes the limits. */
    public Disk limits(RateLimits value) {
        return new Disk(path, readOnly, direct, engine, writeThrough, queues, blockSize, serial, value);
    }

    /** Returns what the device is made with. */
    public BlockOptions options() {
        return options(path, engine, writeThrough, queues, serial, limits);
    }
}
