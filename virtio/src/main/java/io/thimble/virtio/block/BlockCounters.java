package io.thimble.virtio.block;

import java.util.concurrent.atomic.AtomicLongArray;

/** Counted by one thread, read by any. */
final class BlockCounters {
    static final int READS = 0;
    static final int READ_BYTES = 1;
    static final int WRITES = 2;
    static final int WRITTEN_BYTES = 3;
    static final int FLUSHES = 4;
    static final int DISCARDS = 5;
    static final int ERRORS = 6;
    static final int REFUSED = 7;
    static final int THROTTLED = 8;
    static final int BOUNCED = 9;
    private static final int COUNT = 10;

    private final AtomicLongArray values = new AtomicLongArray(COUNT);

    void add(int counter, long amount) {
        values.setRelease(counter, values.getPlain(counter) + amount);
    }

    BlockMetrics snapshot() {
        return new BlockMetrics(
                values.get(READS),
                values.get(READ_BYTES),
                values.get(WRITES),
                values.get(WRITTEN_BYTES),
                values.get(FLUSHES),
                values.get(DISCARDS),
                values.get(ERRORS),
                values.get(REFUSED),
                values.get(THROTTLED),
                values.get(BOUNCED));
    }
}
