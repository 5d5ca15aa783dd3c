package io.thimble.virtio.net;

import java.util.Arrays;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * An Ethernet switch inside this process: what one card sends, the cards it is for receive. It learns who is where from what
 * they send; the addresses that cards were made with are theirs for good, so that no guest can take another's.
 *
 * <p>Thread-safe: each port sends on its own device's thread, straight into the ring of the port that receives. A port whose ring
 * is full, or that is gone, holds nobody up: its frames are dropped and counted.
 */
public final class VirtualSwitch {
    /** How many learned addresses a port may have; further ones are not learned, and frames to them go to all. */
    private static final int MOST_LEARNED = 256;

    /** Who is where; immutable. The addresses are sorted. */
    private static final class Table {
        final long[] addresses;
        final SwitchPort[] places;

        Table(long[] addresses, SwitchPort[] places) {
            this.addresses = addresses;
            this.places = places;
        }

        @Nullable
        SwitchPort find(long address) {
            int at = Arrays.binarySearch(addresses, address);
            return at < 0 ? null : places[at];
        }
    }

    private final String name;
    private final LongAdder dropped = new LongAdder();
    private final Object lock = new Object();
    private volatile SwitchPort[] ports = {}; // written under lock, as the next one
    private volatile Table table = new Table(new long[0], new SwitchPort[0]);

    /** Makes a switch without cards. */
    public VirtualSwitch(String name) {
        this.name = name;
    }

    /** Returns its name, for messages. */
    public String name() {
        return name;
    }

    /** Returns how many cards are plugged in. */
    public int size() {
        return ports.length;
    }

    /** Returns how many frames were dropped because a receiver's ring was full. */
    public long dropped() {
        return dropped.sum();
    }

    /**
     * Plugs a card in.
     *
     * @param mac the card's own address
     * @throws IllegalArgumentException if another card here has it
     */
    public NetBackend connect(MacAddress mac) {
        synchronized (lock) {
            SwitchPort other = table.find(mac.value());
            if (other != null && other.owns(mac.value())) {
                throw new IllegalArgumentException("another card of switch " + name + " has the address " + mac);
            }
            SwitchPort port = new SwitchPort(this, mac.value());
            SwitchPort[] more = Arrays.copyOf(ports, ports.length + 1);
            more[ports.length] = port;
            ports = more;
            put(mac.value(), port);
            return port;
        }
    }

    void disconnect(SwitchPort port) {
        synchronized (lock) {
            ports = Arrays.stream(ports).filter(p -> p != port).toArray(SwitchPort[]::new);
            Table old = table;
            int[] kept = IntStream.range(0, old.addresses.length)
                    .filter(i -> old.places[i] != port)
                    .toArray();
            table = new Table(
                    Arrays.stream(kept).mapToLong(i -> old.addresses[i]).toArray(),
                    Arrays.stream(kept).mapToObj(i -> old.places[i]).toArray(SwitchPort[]::new));
        }
    }

    /** Puts an address at a port; under the lock. */
    private void put(long address, SwitchPort port) {
        Table old = table;
        int at = Arrays.binarySearch(old.addresses, address);
        if (at >= 0) {
            SwitchPort[] places = old.places.clone();
            places[at] = port;
            table = new Table(old.addresses, places);
            return;
        }
        int to = -at - 1;
        long[] addresses = new long[old.addresses.length + 1];
        SwitchPort[] places = new SwitchPort[addresses.length];
        System.arraycopy(old.addresses, 0, addresses, 0, to);
        System.arraycopy(old.places, 0, places, 0, to);
        addresses[to] = address;
        places[to] = port;
        System.arraycopy(old.addresses, to, addresses, to + 1, old.addresses.length - to);
        System.arraycopy(old.places, to, places, to + 1, old.places.length - to);
        table = new Table(addresses, places);
    }

    private void learn(long source, SwitchPort port) {
        SwitchPort known = table.find(source);
        if (known == port || MacAddress.isGroup(source) || (known != null && known.owns(source))) {
            return;
        }
        synchronized (lock) {
            SwitchPort now = table.find(source);
            if (now != null && now.owns(source)) {
                return; // it was connected meanwhile
            }
            long learned = Arrays.stream(table.places).filter(p -> p == port).count();
            if (learned <= MOST_LEARNED && Arrays.asList(ports).contains(port)) {
                put(source, port);
            }
        }
    }

    /** Takes a frame from a port and gives it to those that it is for. */
    void forward(SwitchPort from, long source, long destination, TransmitPacket packet) {
        learn(source, from);
        SwitchPort to = MacAddress.isGroup(destination) ? null : table.find(destination);
        if (to != null) {
            if (to != from) {
                give(to, packet);
            }
            return;
        }
        for (SwitchPort port : ports) {
            if (port != from) {
                give(port, packet);
            }
        }
    }

    private void give(SwitchPort to, TransmitPacket packet) {
        if (!to.offer(packet)) {
            dropped.increment();
        }
    }
}
