package io.thimble.virtio.net;

import java.util.concurrent.atomic.AtomicLongArray;

/** What a network device has counted. Counted by one thread, read by any. */
final class NetCounters {
    static final int RX_FRAMES = 0;
    static final int RX_BYTES = 1;
    static final int RX_DROPPED = 2;
    static final int TX_FRAMES = 3;
    static final int TX_BYTES = 4;
    static final int TX_DROPPED = 5;
    static final int TX_MALFORMED = 6;

    private static final int COUNT = 7;

    private final AtomicLongArray values = new AtomicLongArray(COUNT);

    void add(int which, long n) {
        values.setOpaque(which, values.getPlain(which) + n);
    }

    NetStatistics snapshot() {
        return new NetStatistics(
                values.getOpaque(RX_FRAMES),
                values.getOpaque(RX_BYTES),
                values.getOpaque(RX_DROPPED),
                values.getOpaque(TX_FRAMES),
                values.getOpaque(TX_BYTES),
                values.getOpaque(TX_DROPPED),
                values.getOpaque(TX_MALFORMED));
    }
}
