package io.thimble.virtio.block;

import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.linux.abi.VirtioBlkDiscardWriteZeroesLayout;
import io.thimble.linux.abi.VirtioBlkOuthdrLayout;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.VirtqueueException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * What a driver asks for with one buffer (virtio 1.2, section 5.2.6), checked: whatever {@link #status} calls
 * {@code VIRTIO_BLK_S_OK} lies on the disk and inside the buffer. It is filled again for each buffer.
 *
 * <pre>
 * struct virtio_blk_req { le32 type; le32 reserved; le64 sector; u8 data[]; u8 status; };
 * struct virtio_blk_discard_write_zeroes { le64 sector; le32 num_sectors; le32 flags; };
 * </pre>
 *
 * <p>The header and the segment are copied out of guest memory once, then looked at. The parser does no I/O.
 */
public final class BlockRequest {
    /** The most sectors of one discard or write-zeroes request: 1 GiB. */
    public static final int MAX_RANGE_SECTORS = 1 << 21;

    private static final ValueLayout.OfInt LE32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LE64 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int HEADER = (int) VirtioBlkOuthdrLayout.SIZEOF;
    private static final int SEGMENT = (int) VirtioBlkDiscardWriteZeroesLayout.SIZEOF;

    private final MemorySegment copy = MemorySegment.ofArray(new long[Math.max(HEADER, SEGMENT) / Long.BYTES]);

    private int type;
    private int status;
    private long offset;
    private long length;
    private boolean unmap;

    /** Makes an empty request. */
    public BlockRequest() {}

    /**
     * Reads a request.
     *
     * @param capacity of the disk, in sectors
     * @param readOnly whether the disk is
     * @param blockSize what offsets and lengths must be multiples of, in bytes
     * @throws VirtqueueException if there is no header, or no byte for the status: the driver cannot be answered
     */
    public void parse(DescriptorChain chain, long capacity, boolean readOnly, int blockSize) {
        if (chain.readableLength() < HEADER || chain.writableLength() < 1) {
            throw new VirtqueueException("a block request with " + chain.readableLength() + " bytes to read and "
                    + chain.writableLength() + " to write has no room for header and status");
        }
        chain.read(0, copy, 0, HEADER);
        type = copy.get(LE32, VirtioBlkOuthdrLayout.OFFSETOF_TYPE);
        long sector = copy.get(LE64, VirtioBlkOuthdrLayout.OFFSETOF_SECTOR);
        offset = 0;
        length = 0;
        unmap = false;
        status = switch (type) {
            case VirtioBlkConstants.VIRTIO_BLK_T_IN ->
                transfer(sector, chain.writableLength() - 1, capacity, blockSize);
            case VirtioBlkConstants.VIRTIO_BLK_T_OUT ->
                readOnly
                        ? VirtioBlkConstants.VIRTIO_BLK_S_IOERR
                        : transfer(sector, chain.readableLength() - HEADER, capacity, blockSize);
            case VirtioBlkConstants.VIRTIO_BLK_T_FLUSH -> VirtioBlkConstants.VIRTIO_BLK_S_OK;
            case VirtioBlkConstants.VIRTIO_BLK_T_GET_ID -> identify(chain.writableLength() - 1);
            case VirtioBlkConstants.VIRTIO_BLK_T_DISCARD, VirtioBlkConstants.VIRTIO_BLK_T_WRITE_ZEROES ->
                readOnly ? VirtioBlkConstants.VIRTIO_BLK_S_IOERR : range(chain, capacity, blockSize);
            default -> VirtioBlkConstants.VIRTIO_BLK_S_UNSUPP;
        };
    }

    private int transfer(long sector, long bytes, long capacity, int blockSize) {
        if (bytes % DiskImage.SECTOR != 0) {
            return VirtioBlkConstants.VIRTIO_BLK_S_IOERR;
        }
        return place(sector, bytes / DiskImage.SECTOR, capacity, blockSize);
    }

    private int identify(long room) {
        length = Math.min(room, VirtioBlkConstants.VIRTIO_BLK_ID_BYTES);
        return VirtioBlkConstants.VIRTIO_BLK_S_OK;
    }

    /** One segment is all that the configuration space allows (max_discard_seg, max_write_zeroes_seg). */
    private int range(DescriptorChain chain, long capacity, int blockSize) {
        if (chain.readableLength() != HEADER + SEGMENT) {
            return VirtioBlkConstants.VIRTIO_BLK_S_IOERR;
        }
        chain.read(HEADER, copy, 0, SEGMENT);
        long sector = copy.get(LE64, VirtioBlkDiscardWriteZeroesLayout.OFFSETOF_SECTOR);
        long sectors = Integer.toUnsignedLong(copy.get(LE32, VirtioBlkDiscardWriteZeroesLayout.OFFSETOF_NUM_SECTORS));
        int flags = copy.get(LE32, VirtioBlkDiscardWriteZeroesLayout.OFFSETOF_FLAGS);
        boolean discard = type == VirtioBlkConstants.VIRTIO_BLK_T_DISCARD;
        int known = discard ? 0 : VirtioBlkConstants.VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
        if ((flags & ~known) != 0) {
            return VirtioBlkConstants.VIRTIO_BLK_S_UNSUPP;
        }
        if (sectors > MAX_RANGE_SECTORS) {
            return VirtioBlkConstants.VIRTIO_BLK_S_IOERR;
        }
        unmap = discard || flags != 0;
        return place(sector, sectors, capacity, blockSize);
    }

    private int place(long sector, long sectors, long capacity, int blockSize) {
        if (sector < 0 || sectors > capacity || sector > capacity - sectors) {
            return VirtioBlkConstants.VIRTIO_BLK_S_IOERR;
        }
        long start = sector * DiskImage.SECTOR;
        long bytes = sectors * DiskImage.SECTOR;
        if (((start | bytes) & (blockSize - 1)) != 0) {
            return VirtioBlkConstants.VIRTIO_BLK_S_IOERR;
        }
        offset = start;
        length = bytes;
        return VirtioBlkConstants.VIRTIO_BLK_S_OK;
    }

    /** Returns {@code VIRTIO_BLK_T_*}, or what the driver wrote instead. */
    public int type() {
        return type;
    }

    /** Returns {@code VIRTIO_BLK_S_OK} if the request can be carried out, else what to answer. */
    public int status() {
        return status;
    }

    /** Returns where on the disk it begins, in bytes. */
    public long offset() {
        return offset;
    }

    /** Returns how many bytes of the disk, or of the identification, it is about. */
    public long length() {
        return length;
    }

    /** Returns the offset of the first byte of data among the readable bytes of the buffer. */
    public static int dataOffset() {
        return HEADER;
    }

    /** Tells whether the range's space may be given back to the host. */
    public boolean unmap() {
        return unmap;
    }

    @Override
    public String toString() {
        return "BlockRequest[type " + type + ", status " + status + ", " + length + " bytes at " + offset + "]";
    }
}
