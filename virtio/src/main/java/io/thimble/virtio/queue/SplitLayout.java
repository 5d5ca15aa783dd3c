package io.thimble.virtio.queue;

/**
 * The three areas of a split virtqueue (virtio 1.2, sections 2.7.5, 2.7.6 and 2.7.8); all numbers little endian.
 *
 * <pre>{@code
 * struct virtq_desc  { le64 addr; le32 len; le16 flags; le16 next; };
 * struct virtq_avail { le16 flags; le16 idx; le16 ring[size]; le16 used_event; };
 * struct virtq_used  { le16 flags; le16 idx; struct { le32 id; le32 len; } ring[size]; le16 avail_event; };
 * }</pre>
 */
final class SplitLayout {
    static final int OFFSETOF_DESC_LEN = 8;
    static final int OFFSETOF_DESC_FLAGS = 12;

    static final int OFFSETOF_FLAGS = 0;
    static final int OFFSETOF_IDX = 2;
    static final int OFFSETOF_RING = 4;
    static final int SIZEOF_AVAIL_ENTRY = 2;
    static final int SIZEOF_USED_ENTRY = 8;
    static final int OFFSETOF_USED_LEN = 4;

    private SplitLayout() {}

    static long descriptorBytes(int size) {
        return (long) size * RingChecks.SIZEOF_DESC;
    }

    /** The available ring with {@code used_event}. */
    static long driverBytes(int size) {
        return OFFSETOF_RING + (long) size * SIZEOF_AVAIL_ENTRY + 2;
    }

    /** The used ring with {@code avail_event}. */
    static long deviceBytes(int size) {
        return OFFSETOF_RING + (long) size * SIZEOF_USED_ENTRY + 2;
    }
}
