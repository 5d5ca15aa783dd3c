package io.thimble.virtio.net;

import io.thimble.linux.abi.VirtioIdsConstants;
import io.thimble.linux.abi.VirtioNetConfigLayout;
import io.thimble.linux.abi.VirtioNetConstants;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.device.VirtioDevice;
import java.time.Duration;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The network device (virtio 1.2, section 5.1): pairs of queues and the control queue, over a {@link NetBackend}.
 *
 * <p>Which frames fit the driver is the back end's business: it hears of the offloads that were negotiated. What is counted
 * can be read from any thread; all else is the loop's.
 */
public final class NetDevice implements VirtioDevice {
    /** The size of an Ethernet header in bytes. */
    static final int ETHERNET_HEADER = 14;

    /** The largest frame: an IP packet of 65535 bytes, an Ethernet header and a VLAN tag. */
    static final int MAX_FRAME = 65535 + ETHERNET_HEADER + 4;

    /** The most pairs of queues that a device can have here. */
    public static final int MAX_PAIRS = 16;

    /** What a driver can expect where nobody says otherwise. */
    private static final int DEFAULT_MTU = 1500;

    private static final int QUEUE_SIZE = 256;
    private static final int CONTROL_QUEUE_SIZE = 64;
    private static final int CONFIG_SIZE = (int) VirtioNetConfigLayout.OFFSETOF_MTU + Short.BYTES;

    private final NetConfig settings;
    private final NetBackend backend;
    private final DeviceListener listener;
    private final ConfigSpace config = new ConfigSpace(CONFIG_SIZE);
    private final NetCounters counters = new NetCounters();
    private final ReceiveFilter filter;
    private final FrameLimit receiveLimit;
    private final FrameLimit transmitLimit;
    private final int pairs;

    private boolean linkUp = true;
    private boolean lost;
    private boolean announcing;
    private int activePairs = 1;
    private long guestOffloads;
    private @Nullable State restored;
    private @Nullable NetSession session;

    /**
     * What a device holds.
     *
     * @param address as the driver has set it
     * @param linkUp whether the link is up
     * @param activePairs of queues in use
     * @param guestOffloads that the driver has on
     * @param filter which frames the driver wants
     */
    record State(long address, boolean linkUp, int activePairs, long guestOffloads, ReceiveFilter.State filter) {}

    /**
     * Makes a device.
     *
     * @param backend is closed with the device
     * @param listener is told when the back end is lost
     */
    public NetDevice(NetConfig settings, NetBackend backend, DeviceListener listener) {
        this.settings = settings;
        this.backend = backend;
        this.listener = listener;
        this.pairs = Math.min(MAX_PAIRS, backend.queuePairs());
        this.filter = new ReceiveFilter(settings.mac());
        this.receiveLimit = new FrameLimit(settings.name(), settings.limits().receive(), this::lookAgain);
        this.transmitLimit = new FrameLimit(settings.name(), settings.limits().transmit(), this::lookAgain);
        config.setBytes((int) VirtioNetConfigLayout.OFFSETOF_MAC, settings.mac().toBytes());
        config.setShort((int) VirtioNetConfigLayout.OFFSETOF_MAX_VIRTQUEUE_PAIRS, pairs);
        mtu().ifPresent(mtu -> config.setShort((int) VirtioNetConfigLayout.OFFSETOF_MTU, mtu));
        updateStatus();
    }

    private OptionalInt mtu() {
        return settings.mtu().isPresent() ? settings.mtu() : backend.mtu();
    }

    @Override
    public int deviceId() {
        return VirtioIdsConstants.VIRTIO_ID_NET;
    }

    @Override
    public String name() {
        return settings.name();
    }

    @Override
    public long features() {
        long features = NetFeatures.MAC
                | NetFeatures.STATUS
                | NetFeatures.MRG_RXBUF
                | NetFeatures.CTRL_VQ
                | NetFeatures.CTRL_RX
                | NetFeatures.CTRL_RX_EXTRA
                | NetFeatures.CTRL_MAC_ADDR
                | NetFeatures.GUEST_ANNOUNCE;
        if (settings.offloads()) {
            features |= backend.offloads() | NetFeatures.CTRL_GUEST_OFFLOADS;
        }
        if (mtu().isPresent()) {
            features |= NetFeatures.MTU;
        }
        return pairs > 1 ? features | NetFeatures.MQ : features;
    }

    @Override
    public int queueCount() {
        return 2 * pairs + 1;
    }

    @Override
    public int maxQueueSize(int index) {
        return index == 2 * pairs ? CONTROL_QUEUE_SIZE : QUEUE_SIZE;
    }

    @Override
    public ConfigSpace config() {
        return config;
    }

    @Override
    public void activate(Activation activation) {
        State before = restored;
        restored = null;
        boolean offers = (activation.features() & NetFeatures.GUEST_CSUM) != 0; // all others depend on it (5.1.3.1)
        guestOffloads = offers ? activation.features() & NetFeatures.GUEST_OFFLOADS : 0;
        activePairs = 1;
        if (before != null) {
            guestOffloads = before.guestOffloads();
            activePairs = Math.clamp(before.activePairs(), 1, pairs);
        }
        NetSession started = new NetSession(this, activation, pairs);
        session = started;
        activation.loop().addPoller(started);
        backend.start(activation.loop(), started);
        backend.setGuestOffloads(guestOffloads);
        backend.setActivePairs(activePairs);
        if (before != null) {
            announce();
        }
    }

    @Override
    public boolean queueNotified(int index) {
        NetSession running = session;
        if (running != null) {
            running.queueNotified(index);
        }
        return false;
    }

    @Override
    public void reset(Runnable stopped) {
        end();
        filter.reset();
        setAddress(settings.mac());
        announcing = false;
        updateStatus();
        stopped.run();
    }

    private void end() {
        NetSession running = session;
        session = null;
        receiveLimit.cancel();
        transmitLimit.cancel();
        if (running != null) {
            backend.stop();
            running.close();
        }
    }

    @Override
    public void pause(Runnable quiet) {
        NetSession running = session;
        if (running != null) {
            running.pause();
        }
        quiet.run();
    }

    @Override
    public void resume() {
        NetSession running = session;
        if (running != null) {
            running.resume();
        }
    }

    @Override
    public Record state() {
        byte[] address = config.toBytes();
        return new State(
                MacAddress.value(address, (int) VirtioNetConfigLayout.OFFSETOF_MAC),
                linkUp,
                activePairs,
                guestOffloads,
                filter.state());
    }

    @Override
    public void restore(Record state) {
        if (!(state instanceof State before)) {
            throw new IllegalArgumentException("no state of a network device: " + state);
        }
        restored = before;
        linkUp = before.linkUp();
        filter.restore(before.filter());
        setAddress(new MacAddress(before.address()));
        updateStatus();
    }

    @Override
    public boolean close(Duration deadline) {
        end();
        receiveLimit.close();
        transmitLimit.close();
        backend.close();
        return true;
    }

    /** Connects or pulls the guest's cable; the driver is told. On the loop's thread. */
    public void setLinkUp(boolean up) {
        if (linkUp == up) {
            return;
        }
        linkUp = up;
        backend.setCarrier(up);
        if (up) {
            announcing = true; // whoever is at the other end may be another one
        }
        updateStatus();
        signalConfig();
        lookAgain();
    }

    private void lookAgain() {
        NetSession running = session;
        if (running != null) {
            running.lookAgain();
        }
    }

    /** Returns the limits in effect. From any thread. */
    public NetLimits limits() {
        return new NetLimits(receiveLimit.limits(), transmitLimit.limits());
    }

    /** Changes the limits; from any thread. Frames that wait already go by them after {@link #limitsChanged}. */
    public void setLimits(NetLimits limits) {
        receiveLimit.setLimits(limits.receive());
        transmitLimit.setLimits(limits.transmit());
    }

    /** Looks at frames that wait for the limits that were before. On the loop's thread. */
    public void limitsChanged() {
        receiveLimit.cancel();
        transmitLimit.cancel();
        lookAgain();
    }

    /** Has the driver tell its neighbours where it is (section 5.1.6.5.4). On the loop's thread. */
    public void announce() {
        announcing = true;
        updateStatus();
        signalConfig();
    }

    /** Returns what went through so far. From any thread. */
    public NetStatistics statistics() {
        return counters.snapshot();
    }

    /** Returns the address that the device was made with. */
    public MacAddress macAddress() {
        return settings.mac();
    }

    private void updateStatus() {
        int status = linkUp() ? VirtioNetConstants.VIRTIO_NET_S_LINK_UP : 0;
        if (announcing && linkUp()) {
            status |= VirtioNetConstants.VIRTIO_NET_S_ANNOUNCE;
        }
        config.setShort((int) VirtioNetConfigLayout.OFFSETOF_STATUS, status);
    }

    private void signalConfig() {
        NetSession running = session;
        if (running != null) {
            running.signalConfig();
        }
    }

    private void setAddress(MacAddress address) {
        config.setBytes((int) VirtioNetConfigLayout.OFFSETOF_MAC, address.toBytes());
        filter.setOwn(address.value());
    }

    // What the queues ask and tell

    NetBackend backend() {
        return backend;
    }

    ReceiveFilter filter() {
        return filter;
    }

    boolean linkUp() {
        return linkUp && !lost;
    }

    void lost(String reason) {
        if (!lost) {
            lost = true;
            updateStatus();
            signalConfig();
            listener.hostFailure(name(), reason);
        }
    }

    /** Tells whether the limit of frames to the driver allows one now. */
    boolean mayReceive() {
        return allows(receiveLimit);
    }

    /** Tells whether the limit of frames from the driver allows one now. */
    boolean maySend() {
        return allows(transmitLimit);
    }

    private boolean allows(FrameLimit limit) {
        NetSession running = session;
        return running == null || limit.allows(running.loop());
    }

    /** A frame came, of so many bytes with its header. */
    void received(long length) {
        receiveLimit.passed(length - PacketHeader.SIZE);
    }

    /** A frame went, of so many bytes without its header. */
    void sent(long length) {
        transmitLimit.passed(length);
    }

    void count(int which, long n) {
        counters.add(which, n);
    }

    /** Returns how much room the next frame may take, header included. */
    long largestReceive() {
        return (guestOffloads & NetFeatures.GUEST_SEGMENTATION) != 0
                ? PacketHeader.SIZE + MAX_FRAME
                : PacketHeader.SIZE + ETHERNET_HEADER + 4 + mtu().orElse(DEFAULT_MTU);
    }

    boolean setDriverAddress(MacAddress address) {
        if (!address.isUnicast()) {
            return false;
        }
        setAddress(address);
        return true;
    }

    void announced() {
        announcing = false;
        updateStatus();
    }

    boolean setActivePairs(int count) {
        if (count < 1 || count > pairs) {
            return false;
        }
        activePairs = count;
        backend.setActivePairs(count);
        return true;
    }

    void setGuestOffloads(long offloads) {
        guestOffloads = offloads;
        backend.setGuestOffloads(offloads);
    }
}
