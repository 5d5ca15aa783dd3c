package io.thimble.virtio.net;

import java.lang.foreign.MemorySegment;

/** Where a back end puts one frame and, before it, its header. On the loop's thread. */
public interface ReceiveBuffers {
    /** Returns the address of an array of {@code struct iovec} for readv(2); its last one takes what is too long. */
    long vectors();

    /** Returns how many vectors there are, at most {@code IOV_MAX}. */
    int vectorCount();

    /** Returns how many bytes fit, header included, without the last vector. */
    long capacity();

    /**
     * Copies bytes in; what does not fit is left out.
     *
     * @param offset of the first byte, counted from the header's start
     */
    void write(long offset, MemorySegment src, long srcOffset, long length);
}
