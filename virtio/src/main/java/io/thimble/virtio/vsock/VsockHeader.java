package io.thimble.virtio.vsock;

import io.thimble.linux.abi.VirtioVsockHdrLayout;
import io.thimble.virtio.queue.DescriptorChain;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * One {@code struct virtio_vsock_hdr} (section 5.10.6), as a copy: the guest's is read once, and ours written once. Filled
 * again for each packet. Not thread-safe.
 */
final class VsockHeader {
    static final int SIZEOF = (int) VirtioVsockHdrLayout.SIZEOF;

    private static final ValueLayout.OfShort LE16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt LE32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LE64 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final MemorySegment bytes = MemorySegment.ofArray(new byte[SIZEOF]);

    long srcCid;
    long dstCid;
    int srcPort;
    int dstPort;
    /** Unsigned. */
    int len;

    int type;
    int op;
    int flags;
    int bufAlloc;
    int fwdCnt;

    /**
     * Takes the header from the start of the readable bytes.
     *
     * @return false if there are fewer than a header has
     */
    boolean read(DescriptorChain chain) {
        if (chain.read(0, bytes, 0, SIZEOF) < SIZEOF) {
            return false;
        }
        srcCid = bytes.get(LE64, VirtioVsockHdrLayout.OFFSETOF_SRC_CID);
        dstCid = bytes.get(LE64, VirtioVsockHdrLayout.OFFSETOF_DST_CID);
        srcPort = bytes.get(LE32, VirtioVsockHdrLayout.OFFSETOF_SRC_PORT);
        dstPort = bytes.get(LE32, VirtioVsockHdrLayout.OFFSETOF_DST_PORT);
        len = bytes.get(LE32, VirtioVsockHdrLayout.OFFSETOF_LEN);
        type = Short.toUnsignedInt(bytes.get(LE16, VirtioVsockHdrLayout.OFFSETOF_TYPE));
        op = Short.toUnsignedInt(bytes.get(LE16, VirtioVsockHdrLayout.OFFSETOF_OP));
        flags = bytes.get(LE32, VirtioVsockHdrLayout.OFFSETOF_FLAGS);
        bufAlloc = bytes.get(LE32, VirtioVsockHdrLayout.OFFSETOF_BUF_ALLOC);
        fwdCnt = bytes.get(LE32, VirtioVsockHdrLayout.OFFSETOF_FWD_CNT);
        return true;
    }

    /** Puts the header at the start of the writable bytes, which are enough. */
    void write(DescriptorChain chain) {
        bytes.set(LE64, VirtioVsockHdrLayout.OFFSETOF_SRC_CID, srcCid);
        bytes.set(LE64, VirtioVsockHdrLayout.OFFSETOF_DST_CID, dstCid);
        bytes.set(LE32, VirtioVsockHdrLayout.OFFSETOF_SRC_PORT, srcPort);
        bytes.set(LE32, VirtioVsockHdrLayout.OFFSETOF_DST_PORT, dstPort);
        bytes.set(LE32, VirtioVsockHdrLayout.OFFSETOF_LEN, len);
        bytes.set(LE16, VirtioVsockHdrLayout.OFFSETOF_TYPE, (short) type);
        bytes.set(LE16, VirtioVsockHdrLayout.OFFSETOF_OP, (short) op);
        bytes.set(LE32, VirtioVsockHdrLayout.OFFSETOF_FLAGS, flags);
        bytes.set(LE32, VirtioVsockHdrLayout.OFFSETOF_BUF_ALLOC, bufAlloc);
        bytes.set(LE32, VirtioVsockHdrLayout.OFFSETOF_FWD_CNT, fwdCnt);
        chain.write(0, bytes, 0, SIZEOF);
    }
}
