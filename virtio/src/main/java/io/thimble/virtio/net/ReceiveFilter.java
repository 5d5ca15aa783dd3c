package io.thimble.virtio.net;

import io.thimble.linux.abi.VirtioNetConstants;
import java.util.Arrays;
import java.util.List;

/**
 * Which frames the driver wants (virtio 1.2, section 5.1.6.5.1 and 5.1.6.5.2). Without the control queue: all.
 */
final class ReceiveFilter {
    /** How many addresses a table keeps; with more, all of that kind pass. */
    static final int TABLE_SIZE = 64;

    /**
     * What a filter holds.
     *
     * @param modes a bit for each {@code VIRTIO_NET_CTRL_RX_*} that is on
     * @param unicast addresses that pass
     * @param multicast likewise
     * @param unicastOverflow whether there were too many to keep
     * @param multicastOverflow likewise
     */
    record State(
            int modes, List<Long> unicast, List<Long> multicast, boolean unicastOverflow, boolean multicastOverflow) {}

    private static final int PROMISCUOUS = 1 << VirtioNetConstants.VIRTIO_NET_CTRL_RX_PROMISC;
    private static final int ALL_MULTICAST = 1 << VirtioNetConstants.VIRTIO_NET_CTRL_RX_ALLMULTI;
    private static final int ALL_UNICAST = 1 << VirtioNetConstants.VIRTIO_NET_CTRL_RX_ALLUNI;
    private static final int NO_MULTICAST = 1 << VirtioNetConstants.VIRTIO_NET_CTRL_RX_NOMULTI;
    private static final int NO_UNICAST = 1 << VirtioNetConstants.VIRTIO_NET_CTRL_RX_NOUNI;
    private static final int NO_BROADCAST = 1 << VirtioNetConstants.VIRTIO_NET_CTRL_RX_NOBCAST;

    private int modes = PROMISCUOUS;
    private long[] unicast = {};
    private long[] multicast = {};
    private boolean unicastOverflow;
    private boolean multicastOverflow;
    private long own;

    ReceiveFilter(MacAddress own) {
        this.own = own.value();
    }

    /** Puts it into the state that a driver finds. */
    void reset() {
        modes = PROMISCUOUS;
        setTables(new long[0], false, new long[0], false);
    }

    void setOwn(long address) {
        own = address;
    }

    /** Switches one {@code VIRTIO_NET_CTRL_RX_*} mode; returns whether there is such a mode. */
    boolean setMode(int mode, boolean on) {
        if (mode < 0 || mode > VirtioNetConstants.VIRTIO_NET_CTRL_RX_NOBCAST) {
            return false;
        }
        modes = on ? modes | 1 << mode : modes & ~(1 << mode);
        return true;
    }

    void setTables(long[] newUnicast, boolean tooManyUnicast, long[] newMulticast, boolean tooManyMulticast) {
        unicast = newUnicast;
        multicast = newMulticast;
        unicastOverflow = tooManyUnicast;
        multicastOverflow = tooManyMulticast;
    }

    boolean passesAll() {
        return (modes & PROMISCUOUS) != 0;
    }

    /** Tells whether a frame to {@code destination} is for the driver. */
    boolean passes(long destination) {
        if (passesAll()) {
            return true;
        }
        if (destination == MacAddress.BROADCAST.value()) {
            return (modes & NO_BROADCAST) == 0;
        }
        if (MacAddress.isGroup(destination)) {
            return (modes & NO_MULTICAST) == 0
                    && ((modes & ALL_MULTICAST) != 0 || multicastOverflow || contains(multicast, destination));
        }
        return (modes & NO_UNICAST) == 0
                && ((modes & ALL_UNICAST) != 0
                        || destination == own
                        || unicastOverflow
                        || contains(unicast, destination));
    }

    private static boolean contains(long[] table, long address) {
        for (long entry : table) {
            if (entry == address) {
                return true;
            }
        }
        return false;
    }

    State state() {
        return new State(
                modes,
                Arrays.stream(unicast).boxed().toList(),
                Arrays.stream(multicast).boxed().toList(),
                unicastOverflow,
                multicastOverflow);
    }

    void restore(State state) {
        modes = state.modes();
        setTables(
                toArray(state.unicast()),
                state.unicastOverflow(),
                toArray(state.multicast()),
                state.multicastOverflow());
    }

    private static long[] toArray(List<Long> addresses) {
        return addresses.stream().mapToLong(Long::longValue).toArray();
    }
}
