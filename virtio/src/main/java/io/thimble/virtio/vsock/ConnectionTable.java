package io.thimble.virtio.vsock;

import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Connections by their two ports: a hash table with linear probing, so that a look-up allocates nothing. The guest chooses
 * ports; it does not know the seed. Not thread-safe.
 */
final class ConnectionTable {
    private final long seed = ThreadLocalRandom.current().nextLong();
    private @Nullable Connection[] slots = new Connection[64];
    private int size;

    int size() {
        return size;
    }

    private int home(int guestPort, int hostPort) {
        long x = (((long) guestPort << 32) | Integer.toUnsignedLong(hostPort)) ^ seed;
        x = (x ^ (x >>> 32)) * 0x9e37_79b9_7f4a_7c15L;
        x = (x ^ (x >>> 29)) * 0xbf58_476d_1ce4_e5b9L;
        return (int) (x >>> 33) & (slots.length - 1);
    }

    private int home(Connection connection) {
        return home(connection.guestPort(), connection.hostPort());
    }

    @Nullable
    Connection get(int guestPort, int hostPort) {
        for (int i = home(guestPort, hostPort); ; i = (i + 1) & (slots.length - 1)) {
            Connection found = slots[i];
            if (found == null || (found.guestPort() == guestPort && found.hostPort() == hostPort)) {
                return found;
            }
        }
    }

    /** Adds a connection whose ports no other has. */
    void add(Connection connection) {
        if (2 * (size + 1) > slots.length) {
            grow();
        }
        place(connection);
        size++;
    }

    private void grow() {
        @Nullable Connection[] old = slots;
        slots = new Connection[2 * old.length];
        for (Connection connection : old) {
            if (connection != null) {
                place(connection);
            }
        }
    }

    private void place(Connection connection) {
        int i = home(connection);
        while (slots[i] != null) {
            i = (i + 1) & (slots.length - 1);
        }
        slots[i] = connection;
    }

    /** Removes a connection; without effect if it is not here. */
    void remove(Connection connection) {
        int mask = slots.length - 1;
        int hole = home(connection);
        while (slots[hole] != connection) {
            if (slots[hole] == null) {
                return;
            }
            hole = (hole + 1) & mask;
        }
        size--;
        // Those behind move up, unless that would put them before their home.
        for (int i = (hole + 1) & mask; slots[i] != null; i = (i + 1) & mask) {
            int distance = (i - home(slots[i])) & mask;
            if (distance >= ((i - hole) & mask)) {
                slots[hole] = slots[i];
                hole = i;
            }
        }
        slots[hole] = null;
    }

    /** Removes all; then hands each of them over. */
    void clear(Consumer<Connection> action) {
        @Nullable Connection[] old = slots;
        slots = new Connection[64];
        size = 0;
        for (Connection connection : old) {
            if (connection != null) {
                action.accept(connection);
            }
        }
    }
}
