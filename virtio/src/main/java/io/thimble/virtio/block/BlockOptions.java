package io.thimble.virtio.block;

import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.virtio.device.RateLimits;
import java.nio.charset.StandardCharsets;

/**
 * How a disk is presented and run.
 *
 * @param engine how its I/O is done
 * @param writeThrough whether every write is on stable storage before the driver is told that it is done; otherwise that is
 *     so after a flush, and the driver may switch (section 5.2.6.2)
 * @param queues 1 to {@value #MOST_QUEUES}
 * @param serial what the driver reads as the disk's identification; at most 20 bytes of UTF-8, may be empty
 * @param limits at the start
 */
public record BlockOptions(BlockEngineKind engine, boolean writeThrough, int queues, String serial, RateLimits limits) {
    /** The most queues of a disk. */
    public static final int MOST_QUEUES = 16;

    /** Checks the ranges. */
    public BlockOptions {
        if (queues < 1 || queues > MOST_QUEUES) {
            throw new IllegalArgumentException("a disk with " + queues + " queues - choose 1 to " + MOST_QUEUES);
        }
        int length = serial.getBytes(StandardCharsets.UTF_8).length;
        if (length > VirtioBlkConstants.VIRTIO_BLK_ID_BYTES) {
            throw new IllegalArgumentException("the serial \"" + serial + "\" has " + length
                    + " bytes - choose one of at most " + VirtioBlkConstants.VIRTIO_BLK_ID_BYTES);
        }
    }

    /** A write-back disk with one queue, the best engine and no limits. */
    public static BlockOptions defaults() {
        return new BlockOptions(BlockEngineKind.AUTO, false, 1, "", RateLimits.NONE);
    }

    /** The identification as the driver reads it: padded with zeros. */
    byte[] serialBytes() {
        byte[] bytes = new byte[VirtioBlkConstants.VIRTIO_BLK_ID_BYTES];
        byte[] text = serial.getBytes(StandardCharsets.UTF_8);
        System.arraycopy(text, 0, bytes, 0, text.length);
        return bytes;
    }
}
