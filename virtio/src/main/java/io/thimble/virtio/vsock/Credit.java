package io.thimble.virtio.vsock;

/**
 * The flow control of one connection, both ways (section 5.10.6.3). All counters are 32 bits wide and wrap; differences
 * count. Not thread-safe.
 */
final class Credit {
    private final int bufAlloc;
    private final int start; // where the counters began
    private int rxCnt; // bytes received from the guest
    private int fwdCnt; // of which the host's end has taken so many
    private int toldFwdCnt; // fwdCnt as the guest last heard it

    private int peerBufAlloc;
    private int peerFwdCnt;
    private int txCnt; // bytes sent to the guest

    /**
     * Starts a connection.
     *
     * @param bufAlloc how many bytes this end takes before it has handed them on
     */
    Credit(int bufAlloc) {
        this(bufAlloc, 0);
    }

    /** Starts where the counters have counted on, for tests of how they wrap. */
    Credit(int bufAlloc, int count) {
        this.bufAlloc = bufAlloc;
        start = count;
        rxCnt = count;
        fwdCnt = count;
        toldFwdCnt = count;
        txCnt = count;
        peerFwdCnt = count;
    }

    int bufAlloc() {
        return bufAlloc;
    }

    int fwdCnt() {
        return fwdCnt;
    }

    /** Takes what a packet of the guest's says. */
    void heard(int guestBufAlloc, int guestFwdCnt) {
        peerBufAlloc = guestBufAlloc;
        peerFwdCnt = guestFwdCnt;
    }

    /** Returns how many bytes the guest has room for; 0 also where its counters make no sense. */
    long peerFree() {
        long inFlight = Integer.toUnsignedLong(txCnt - peerFwdCnt);
        return Math.max(0, Integer.toUnsignedLong(peerBufAlloc) - inFlight);
    }

    /** Bytes have been sent to the guest. */
    void sent(long bytes) {
        txCnt += (int) bytes;
    }

    /** Tells whether the guest keeps to what it was told, if it sends so many bytes now. */
    boolean mayReceive(long bytes) {
        return Integer.toUnsignedLong(rxCnt - toldFwdCnt) + bytes <= bufAlloc;
    }

    /** Bytes have come from the guest. */
    void received(long bytes) {
        rxCnt += (int) bytes;
    }

    /** Sets how many bytes in total the host's end has taken. */
    void consumed(long total) {
        fwdCnt = start + (int) total;
    }

    /**
     * Tells whether the guest should hear of room that it does not know of: when that is half of what it has under way at
     * most. Linux has no more under way than its own buffer would take ({@code virtio_transport_tx_buf_size} in
     * net/vmw_vsock/virtio_transport_common.c), whatever room there is here.
     */
    boolean updateDue() {
        int unheard = fwdCnt - toldFwdCnt;
        return unheard != 0 && Integer.toUnsignedLong(unheard) >= underWay() / 2;
    }

    private long underWay() {
        return Math.min(bufAlloc, Integer.toUnsignedLong(peerBufAlloc));
    }

    /** Returns after how many bytes taken by the host's end {@link #updateDue} should be asked again; at least 1. */
    int step() {
        return (int) Math.max(1, underWay() / 4);
    }

    /** Puts this end's counters into a packet to the guest. */
    void stamp(VsockHeader header) {
        header.bufAlloc = bufAlloc;
        header.fwdCnt = fwdCnt;
        toldFwdCnt = fwdCnt;
    }
}
