package io.thimble.virtio.queue;

import io.thimble.linux.abi.VirtioRingConstants;

/**
 * The three areas of a packed virtqueue (virtio 1.2, sections 2.8.13 and 2.8.14); all numbers little endian.
 *
 * <pre>{@code
 * struct pvirtq_desc { le64 addr; le32 len; le16 id; le16 flags; };
 * struct pvirtq_event_suppress {
 *     le16 { desc_event_off : 15, desc_event_wrap : 1 } desc;
 *     le16 { desc_event_flags : 2, reserved : 14 } flags;
 * };
 * }</pre>
 *
 * <p>Length, id and flags are read and written as one number of 8 bytes, the suppression structure as one of 4: what belongs
 * together cannot come apart.
 */
final class PackedLayout {
    static final int OFFSETOF_DESC_REST = 8;
    static final int SIZEOF_EVENT = 4;

    /** The alignment of both event suppression structures (section 2.8.10.1). */
    static final int EVENT_ALIGN = 4;

    static final int F_AVAIL = 1 << VirtioRingConstants.VRING_PACKED_DESC_F_AVAIL;
    static final int F_USED = 1 << VirtioRingConstants.VRING_PACKED_DESC_F_USED;

    static final int EVENT_OFFSET_MASK = (1 << VirtioRingConstants.VRING_PACKED_EVENT_F_WRAP_CTR) - 1;
    static final int EVENT_WRAP = 1 << VirtioRingConstants.VRING_PACKED_EVENT_F_WRAP_CTR;

    private PackedLayout() {}

    static int length(long rest) {
        return (int) rest;
    }

    static int id(long rest) {
        return (int) (rest >>> 32) & 0xffff;
    }

    static int flags(long rest) {
        return (int) (rest >>> 48);
    }

    static long rest(long length, int id, int flags) {
        return (length & 0xffff_ffffL) | ((long) id << 32) | ((long) flags << 48);
    }

    static int event(int offsetAndWrap, int flags) {
        return offsetAndWrap | flags << 16;
    }
}
