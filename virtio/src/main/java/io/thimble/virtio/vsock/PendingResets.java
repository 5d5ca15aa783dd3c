package io.thimble.virtio.vsock;

/**
 * Resets to be sent for packets that belong to no connection: a ring of port pairs. When it is full, a reset is lost, and a
 * well-meaning guest's connection attempt times out instead of being refused: a guest that takes no packets cannot have
 * memory grow. Not thread-safe.
 */
final class PendingResets {
    static final int CAPACITY = 1024;

    private final long[] ports = new long[CAPACITY];
    private final short[] types = new short[CAPACITY];
    private int first;
    private int count;

    boolean isEmpty() {
        return count == 0;
    }

    /**
     * Adds one.
     *
     * @param type of the packets
     * @return false if there is no room
     */
    boolean add(int guestPort, int hostPort, int type) {
        if (count == CAPACITY) {
            return false;
        }
        int at = (first + count++) & (CAPACITY - 1);
        ports[at] = ((long) guestPort << 32) | Integer.toUnsignedLong(hostPort);
        types[at] = (short) type;
        return true;
    }

    /** Takes the oldest: sets ports and type of a packet to the guest. */
    void take(VsockHeader header) {
        header.dstPort = (int) (ports[first] >>> 32);
        header.srcPort = (int) ports[first];
        header.type = Short.toUnsignedInt(types[first]);
        first = (first + 1) & (CAPACITY - 1);
        count--;
    }

    void clear() {
        count = 0;
    }
}
