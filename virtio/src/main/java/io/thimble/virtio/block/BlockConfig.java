package io.thimble.virtio.block;

import io.thimble.linux.abi.VirtioBlkConfigLayout;
import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.virtio.device.ConfigSpace;

/**
 * What a disk offers and says of itself.
 *
 * <pre>
 * struct virtio_blk_config { le64 capacity; le32 size_max, seg_max; struct geometry; le32 blk_size; struct topology
 *   { u8 physical_block_exp, alignment_offset; le16 min_io_size; le32 opt_io_size; }; u8 writeback; u8 unused0;
 *   u16 num_queues; le32 max_discard_sectors, max_discard_seg, discard_sector_alignment, max_write_zeroes_sectors,
 *   max_write_zeroes_seg; u8 write_zeroes_may_unmap; ... };   (virtio 1.2, section 5.2.4)
 * </pre>
 */
final class BlockConfig {
    static final int QUEUE_SIZE = 256;

    /** Pieces of data in a request: a queue's worth, less header and status. */
    private static final int SEG_MAX = QUEUE_SIZE - 2;

    /** Up to the fields of secure erase, which is not offered. */
    private static final int SIZE = (int) VirtioBlkConfigLayout.OFFSETOF_MAX_SECURE_ERASE_SECTORS;

    private BlockConfig() {}

    static long features(DiskImage image, BlockOptions options) {
        long features = bit(VirtioBlkConstants.VIRTIO_BLK_F_SEG_MAX)
                | bit(VirtioBlkConstants.VIRTIO_BLK_F_BLK_SIZE)
                | bit(VirtioBlkConstants.VIRTIO_BLK_F_TOPOLOGY);
        if (options.queues() > 1) {
            features |= bit(VirtioBlkConstants.VIRTIO_BLK_F_MQ);
        }
        if (image.isReadOnly()) {
            return features | bit(VirtioBlkConstants.VIRTIO_BLK_F_RO);
        }
        if (!options.writeThrough()) {
            features |= bit(VirtioBlkConstants.VIRTIO_BLK_F_FLUSH) | bit(VirtioBlkConstants.VIRTIO_BLK_F_CONFIG_WCE);
        }
        return features
                | bit(VirtioBlkConstants.VIRTIO_BLK_F_DISCARD)
                | bit(VirtioBlkConstants.VIRTIO_BLK_F_WRITE_ZEROES);
    }

    private static long bit(int feature) {
        return 1L << feature;
    }

    static ConfigSpace space(DiskImage image, BlockOptions options) {
        ConfigSpace space = new ConfigSpace(SIZE);
        int block = image.logicalBlockSize();
        int physical = image.physicalBlockSize();
        space.setLong((int) VirtioBlkConfigLayout.OFFSETOF_CAPACITY, sectors(image));
        space.setInt((int) VirtioBlkConfigLayout.OFFSETOF_SEG_MAX, SEG_MAX);
        space.setInt((int) VirtioBlkConfigLayout.OFFSETOF_BLK_SIZE, block);
        space.setByte(
                (int) VirtioBlkConfigLayout.OFFSETOF_PHYSICAL_BLOCK_EXP,
                Integer.numberOfTrailingZeros(physical / block));
        space.setShort((int) VirtioBlkConfigLayout.OFFSETOF_MIN_IO_SIZE, physical / block);
        setWriteback(space, !options.writeThrough());
        space.setShort((int) VirtioBlkConfigLayout.OFFSETOF_NUM_QUEUES, options.queues());
        if (!image.isReadOnly()) {
            int alignment = physical / DiskImage.SECTOR;
            space.setInt((int) VirtioBlkConfigLayout.OFFSETOF_MAX_DISCARD_SECTORS, BlockRequest.MAX_RANGE_SECTORS);
            space.setInt((int) VirtioBlkConfigLayout.OFFSETOF_MAX_DISCARD_SEG, 1);
            space.setInt((int) VirtioBlkConfigLayout.OFFSETOF_DISCARD_SECTOR_ALIGNMENT, alignment);
            space.setInt((int) VirtioBlkConfigLayout.OFFSETOF_MAX_WRITE_ZEROES_SECTORS, BlockRequest.MAX_RANGE_SECTORS);
            space.setInt((int) VirtioBlkConfigLayout.OFFSETOF_MAX_WRITE_ZEROES_SEG, 1);
            space.setByte((int) VirtioBlkConfigLayout.OFFSETOF_WRITE_ZEROES_MAY_UNMAP, 1);
        }
        return space;
    }

    /** Returns how many whole blocks the image has now, in sectors. */
    static long sectors(DiskImage image) {
        return (image.size() & -image.logicalBlockSize()) / DiskImage.SECTOR;
    }

    static void setCapacity(ConfigSpace space, long sectors) {
        space.setLong((int) VirtioBlkConfigLayout.OFFSETOF_CAPACITY, sectors);
    }

    static boolean isWriteback(ConfigSpace space) {
        return space.read((int) VirtioBlkConfigLayout.OFFSETOF_WCE, 1) != 0;
    }

    static void setWriteback(ConfigSpace space, boolean on) {
        space.setByte((int) VirtioBlkConfigLayout.OFFSETOF_WCE, on ? 1 : 0);
    }
}
