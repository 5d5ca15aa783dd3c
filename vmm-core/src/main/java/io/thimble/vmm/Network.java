package io.thimble.vmm;

import io.thimble.linux.NetInterface;
import io.thimble.virtio.net.MacAddress;
import io.thimble.virtio.net.NetConfig;
import io.thimble.virtio.net.NetDevice;
import io.thimble.virtio.net.NetLimits;
import io.thimble.vmm.MicroVmException.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One network card of a VM (virtio-net), and what it is plugged into. Immutable: each {@code with} method returns another one,
 * or throws {@link MicroVmException} where a value is wrong.
 *
 * {@snippet :
 * MicroVm.builder().network(Network.tap("vm0").withAddress(GuestAddress.of("192.0.2.2/24").withGateway("192.0.2.1")));
 * }
 */
public final class Network {
    /** What a card is plugged into. */
    public sealed interface Link {}

    /**
     * A TAP interface of the host's.
     *
     * @param name of the interface
     * @param create whether the VM makes it, and removes it at its end
     */
    public record Tap(String name, boolean create) implements Link {}

    /**
     * A switch inside this process.
     *
     * @param to which one
     */
    public record Switch(NetworkSwitch to) implements Link {}

    /**
     * The program passt, which gives the guest the host's network as any program of this user has it.
     *
     * @param published ports of the host that lead to the guest
     */
    public record Passt(List<Published> published) implements Link {
        /** Copies the list. */
        public Passt {
            published = List.copyOf(published);
        }
    }

    /**
     * A TCP port of the host that leads to one of the guest's.
     *
     * @param address of the host, where to listen; empty for the loopback address
     * @param hostPort 1 to 65535
     * @param guestPort 1 to 65535
     */
    public record Published(Optional<String> address, int hostPort, int guestPort) {
        private static final int MAX_PORT = 65535;
        private static final Pattern TEXT = Pattern.compile("(?:([0-9.]+|\\[[0-9a-fA-F:.]+]):)?(\\d{1,5}):(\\d{1,5})");

        /** Refuses other ports. */
        public Published {
            if (hostPort < 1 || hostPort > MAX_PORT || guestPort < 1 || guestPort > MAX_PORT) {
                throw wrong("publish " + hostPort + ":" + guestPort + ": ports are 1 to 65535");
            }
        }

        /** Reads {@code HOST:GUEST} or {@code ADDRESS:HOST:GUEST}; an IPv6 address in brackets. */
        public static Published parse(String text) {
            Matcher matcher = TEXT.matcher(text);
            if (!matcher.matches()) {
                throw wrong("publish \"" + text + "\": write HOST:GUEST or ADDRESS:HOST:GUEST, as in 8080:80");
            }
            return new Published(
                    Optional.ofNullable(matcher.group(1)).map(a -> a.replaceAll("[\\[\\]]", "")),
                    Integer.parseInt(matcher.group(2)),
                    Integer.parseInt(matcher.group(3)));
        }
    }

    private final Link link;
    private final Optional<String> mac;
    private final OptionalInt mtu;
    private final int queues;
    private final boolean offloads;
    private final Optional<GuestAddress> address;
    private final NetLimits limits;

    private Network(
            Link link,
            Optional<String> mac,
            OptionalInt mtu,
            int queues,
            boolean offloads,
            Optional<GuestAddress> address,
            NetLimits limits) {
        this.link = link;
        this.mac = mac;
        this.mtu = mtu;
        this.queues = queues;
        this.offloads = offloads;
        this.address = address;
        this.limits = limits;
    }

    private static Network of(Link link) {
        return new Network(link, Optional.empty(), OptionalInt.empty(), 1, true, Optional.empty(), NetLimits.NONE);
    }

    private static MicroVmException wrong(IllegalArgumentException e) {
        return new MicroVmException(Problem.CONFIGURATION, "network: " + e.getMessage(), e);
    }

    private static MicroVmException wrong(String message) {
        return wrong(new IllegalArgumentException(message));
    }

    /**
     * Uses a TAP interface that exists. Its owner needs no privilege.
     *
     * @param name 1 to 15 bytes
     */
    public static Network tap(String name) {
        return of(new Tap(checkedName(name), false));
    }

    /** Makes a TAP interface, switches it on, and removes it when the VM ends; takes {@code CAP_NET_ADMIN}. */
    public static Network newTap(String name) {
        return of(new Tap(checkedName(name), true));
    }

    /** Joins VMs of this process. */
    public static Network on(NetworkSwitch to) {
        return of(new Switch(to));
    }

    /**
     * Gives the guest the outside without any privilege, through the program passt, which must be installed. The guest gets the
     * host's own address by DHCP; connections go out as this user's.
     */
    public static Network passt() {
        return of(new Passt(List.of())).withAddress(GuestAddress.byDhcp());
    }

    /**
     * Lets a TCP port of the host lead to the guest; only with {@link #passt}. The guest then reaches, by its gateway's address,
     * what listens on the host's loopback address: passt needs that for connections from there.
     *
     * @param port listens on the loopback address unless it has another
     */
    public Network withPublished(Published port) {
        if (!(link instanceof Passt passt)) {
            throw wrong("publish " + port.hostPort() + ":" + port.guestPort() + ": only passt can do that");
        }
        List<Published> more = new ArrayList<>(passt.published());
        more.add(port);
        return new Network(new Passt(more), mac, mtu, queues, offloads, address, limits);
    }

    private static String checkedName(String name) {
        try {
            return new NetInterface(name).name();
        } catch (IllegalArgumentException e) {
            throw wrong(e);
        }
    }

    /** Sets the guest's Ethernet address, as in {@code 02:00:00:12:34:56}: a unicast one. By default one by chance. */
    public Network withMac(String address) {
        try {
            NetConfig _ = new NetConfig("", MacAddress.parse(address), OptionalInt.empty(), true, NetLimits.NONE);
        } catch (IllegalArgumentException e) {
            throw wrong(e);
        }
        return new Network(link, Optional.of(address), mtu, queues, offloads, this.address, limits);
    }

    /**
     * Sets how large an IP packet may be that is not segmented, 68 to 65535 bytes; by default what the link says. A new TAP
     * gets it as well.
     */
    public Network withMtu(int bytes) {
        try {
            NetConfig _ = new NetConfig("", MacAddress.random(), OptionalInt.of(bytes), true, NetLimits.NONE);
        } catch (IllegalArgumentException e) {
            throw wrong(e);
        }
        return new Network(link, mac, OptionalInt.of(bytes), queues, offloads, address, limits);
    }

    /** Sets how many pairs of queues a TAP has, 1 to 16; by default 1. One for each vCPU is the most that makes sense. */
    public Network withQueues(int pairs) {
        if (pairs < 1 || pairs > NetDevice.MAX_PAIRS) {
            throw wrong(pairs + " pairs of queues: use 1 to " + NetDevice.MAX_PAIRS);
        }
        if (pairs > 1 && !(link instanceof Tap)) {
            throw wrong(pairs + " pairs of queues: only a TAP has more than one");
        }
        return new Network(link, mac, mtu, pairs, offloads, address, limits);
    }

    /** Sets whether checksums and segmentation are left to the other side; by default true, which is faster. */
    public Network withOffloads(boolean value) {
        return new Network(link, mac, mtu, queues, value, address, limits);
    }

    /**
     * Sets the address that the guest's kernel gives the card before it starts init, by its parameter {@code ip}. Only one of a
     * VM's cards can have one.
     */
    public Network withAddress(GuestAddress value) {
        return new Network(link, mac, mtu, queues, offloads, Optional.of(value), limits);
    }

    /** Leaves the card to the guest. */
    public Network withoutAddress() {
        return new Network(link, mac, mtu, queues, offloads, Optional.empty(), limits);
    }

    /**
     * Limits what the card carries; {@link GuestNetwork#setLimits} changes that while the VM runs. By default there is no
     * limit.
     */
    public Network withLimits(NetLimits value) {
        return new Network(link, mac, mtu, queues, offloads, address, value);
    }

    /** Returns what the card is plugged into. */
    public Link link() {
        return link;
    }

    /** Returns the guest's Ethernet address; empty for one by chance. */
    public Optional<String> mac() {
        return mac;
    }

    /** Returns the MTU that was set. */
    public OptionalInt mtu() {
        return mtu;
    }

    /** Returns the number of pairs of queues. */
    public int queues() {
        return queues;
    }

    /** Returns whether offloads are offered. */
    public boolean offloads() {
        return offloads;
    }

    /** Returns the address that the guest is given. */
    public Optional<GuestAddress> address() {
        return address;
    }

    /** Returns the limits that the card begins with. */
    public NetLimits limits() {
        return limits;
    }
}
