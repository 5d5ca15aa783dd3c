package io.thimble.virtio.vsock;

import io.thimble.linux.abi.VirtioVsockConstants;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A packet as a driver sees it, written anew from section 5.10.6 and not by the device's own code. */
@SuppressWarnings("ArrayRecordComponent") // nobody compares packets
record Packet(
        long srcCid,
        long dstCid,
        int srcPort,
        int dstPort,
        int length,
        int type,
        int op,
        int flags,
        int bufAlloc,
        int fwdCnt,
        byte[] data) {
    static final int HEADER = 44;
    static final int GUEST_CID = 42;
    static final int GUEST_BUFFER = 1 << 20;

    static Packet of(int guestPort, int hostPort, int op, byte... data) {
        return new Packet(
                GUEST_CID,
                2,
                guestPort,
                hostPort,
                data.length,
                VirtioVsockConstants.VIRTIO_VSOCK_TYPE_STREAM,
                op,
                0,
                GUEST_BUFFER,
                0,
                data);
    }

    Packet withFlags(int value) {
        return new Packet(srcCid, dstCid, srcPort, dstPort, length, type, op, value, bufAlloc, fwdCnt, data);
    }

    Packet withCredit(int newBufAlloc, int newFwdCnt) {
        return new Packet(srcCid, dstCid, srcPort, dstPort, length, type, op, flags, newBufAlloc, newFwdCnt, data);
    }

    Packet withCids(long src, long dst) {
        return new Packet(src, dst, srcPort, dstPort, length, type, op, flags, bufAlloc, fwdCnt, data);
    }

    Packet withType(int value) {
        return new Packet(srcCid, dstCid, srcPort, dstPort, length, value, op, flags, bufAlloc, fwdCnt, data);
    }

    Packet withLength(int value) {
        return new Packet(srcCid, dstCid, srcPort, dstPort, value, type, op, flags, bufAlloc, fwdCnt, data);
    }

    byte[] toBytes() {
        return ByteBuffer.allocate(HEADER + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(srcCid)
                .putLong(dstCid)
                .putInt(srcPort)
                .putInt(dstPort)
                .putInt(length)
                .putShort((short) type)
                .putShort((short) op)
                .putInt(flags)
                .putInt(bufAlloc)
                .putInt(fwdCnt)
                .put(data)
                .array();
    }

    static Packet parse(byte[] bytes) {
        ByteBuffer b = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        return new Packet(
                b.getLong(),
                b.getLong(),
                b.getInt(),
                b.getInt(),
                b.getInt(),
                b.getShort(),
                b.getShort(),
                b.getInt(),
                b.getInt(),
                b.getInt(),
                Arrays.copyOfRange(bytes, HEADER, bytes.length));
    }

    @Override
    public String toString() {
        return "op " + op + " from " + srcCid + ":" + srcPort + " to " + dstCid + ":" + dstPort + ", " + length
                + " bytes, flags " + flags + ", credit " + bufAlloc + "/" + fwdCnt;
    }
}
