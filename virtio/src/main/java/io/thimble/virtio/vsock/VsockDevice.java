package io.thimble.virtio.vsock;

import io.thimble.linux.abi.VirtioIdsConstants;
import io.thimble.linux.abi.VirtioVsockConfigLayout;
import io.thimble.linux.abi.VirtioVsockConstants;
import io.thimble.linux.abi.VirtioVsockEventLayout;
import io.thimble.memory.GuestMemoryException;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.IoVectors;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The socket device (virtio 1.2, section 5.10): streams between programs in the guest and this process.
 *
 * <p>{@link #connect}, {@link #listen} and {@link #statistics} may be called from any thread, whether a driver is there or
 * not; the rest as {@link VirtioDevice} says.
 */
public final class VsockDevice implements VirtioDevice {
    private static final int RX = 0;
    private static final int TX = 1;
    private static final int EVENT = 2;
    private static final int QUEUE_SIZE = 256;
    private static final int EVENT_QUEUE_SIZE = 16;

    /** After so many bytes others have their turn. */
    private static final long TURN = 1 << 20;

    private final DeviceLoop loop;
    private final ConfigSpace config = new ConfigSpace((int) VirtioVsockConfigLayout.SIZEOF);
    private final long guestCid;
    private final Mux mux;
    private final Map<Integer, HostListener> listeners = new ConcurrentHashMap<>();
    private final VsockLimits limits;
    private @Nullable UnixBridge bridge;
    private final Runnable pump = this::pumpPosted;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment vectors = arena.allocate((long) IoVectors.IOV_MAX * IoVectors.SIZEOF, Long.BYTES);
    private final VsockHeader packet = new VsockHeader();
    private @Nullable Driver driver;
    private boolean pumpPosted;
    private boolean transportReset;
    private volatile boolean closed;

    /** What it works with while a driver is there. */
    private static final class Driver {
        final Activation activation;
        final Virtqueue rx;
        final Virtqueue tx;
        final RxBuffers buffers;
        final DescriptorChain chain;
        boolean paused;
        boolean rxNotifications = true;

        Driver(Activation activation, IoVectors vectors) {
            this.activation = activation;
            rx = activation.requireQueue(RX);
            tx = activation.requireQueue(TX);
            buffers = new RxBuffers(rx, activation.memory(), vectors);
            chain = new DescriptorChain(activation.memory());
        }
    }

    /**
     * What a snapshot holds: connections do not outlive it.
     *
     * @param transportReset whether the driver is still to be told so
     */
    public record State(boolean transportReset) {}

    /**
     * Makes the device.
     *
     * @param guestCid the guest's address, 3 to 2^32 - 2
     * @param loop on which it runs, the same as the transport's
     */
    public VsockDevice(long guestCid, DeviceLoop loop, VsockLimits limits) {
        if (guestCid <= Mux.HOST_CID || guestCid >= 0xffff_ffffL) {
            throw new IllegalArgumentException("CID " + guestCid + ": use 3 to 4294967294");
        }
        this.guestCid = guestCid;
        this.loop = loop;
        this.limits = limits;
        this.mux = new Mux(guestCid, limits, this::accept, this::wake);
        config.setLong((int) VirtioVsockConfigLayout.OFFSETOF_GUEST_CID, guestCid);
    }

    /** Returns the guest's address. */
    public long guestCid() {
        return guestCid;
    }

    /** Returns what it has done so far. */
    public VsockStatistics statistics() {
        return mux.statistics();
    }

    /**
     * Begins to connect to a port of the guest's.
     *
     * @param guestPort unsigned
     * @return a stream that is not open yet; {@link HostStream#awaitOpen} tells how it went
     */
    public HostStream connect(int guestPort) {
        HostStream stream = new HostStream(loop, _ -> {});
        if (!loop.post(() -> connect(guestPort, stream.endpoint()))) {
            stream.endpoint().reset("the VM has ended");
        }
        return stream;
    }

    /**
     * Opens the device to Unix sockets: see {@code UnixBridge}. Before the loop starts, or on its thread; once.
     *
     * @param path of the socket file, which is made
     * @throws IOException if the path is too long, in use, or left over; with the remedy
     */
    public void bridge(Path path) throws IOException {
        bridge = new UnixBridge(path, limits.connections(), loop, this);
    }

    void connect(int guestPort, HostEndpoint endpoint) {
        if (closed) {
            endpoint.reset("the VM has ended");
        } else if (driver == null) {
            endpoint.reset("the guest has no vsock driver at work: wait until it is ready");
        } else {
            mux.connect(guestPort, endpoint);
        }
    }

    /**
     * Listens for the guest's connections.
     *
     * @param hostPort unsigned
     * @param backlog how many connections may wait to be accepted, 1 or more; others are refused
     * @throws IOException if somebody listens there already
     */
    public HostListener listen(int hostPort, int backlog) throws IOException {
        HostListener listener = new HostListener(hostPort, backlog, loop, l -> listeners.remove(hostPort, l));
        if (listeners.putIfAbsent(hostPort, listener) != null) {
            throw new IOException("port " + Integer.toUnsignedString(hostPort) + " has a listener already");
        }
        if (closed) {
            listener.close();
        }
        return listener;
    }

    private @Nullable HostEndpoint accept(int hostPort) {
        HostListener listener = listeners.get(hostPort);
        if (listener != null) {
            HostStream stream = listener.offer();
            return stream == null ? null : stream.endpoint();
        }
        UnixBridge unix = bridge;
        return unix == null ? null : unix.open(hostPort);
    }

    @Override
    public int deviceId() {
        return VirtioIdsConstants.VIRTIO_ID_VSOCK;
    }

    @Override
    public String name() {
        return "vsock";
    }

    @Override
    public long features() {
        return 0; // streams need none (section 5.10.3)
    }

    @Override
    public int queueCount() {
        return 3;
    }

    @Override
    public int maxQueueSize(int index) {
        return index == EVENT ? EVENT_QUEUE_SIZE : QUEUE_SIZE;
    }

    @Override
    public ConfigSpace config() {
        return config;
    }

    @Override
    public void activate(Activation activation) {
        driver = new Driver(activation, new IoVectors(activation.memory(), vectors));
    }

    @Override
    public boolean queueNotified(int index) {
        Driver now = driver;
        if (now == null) {
            return false;
        }
        try {
            return switch (index) {
                case TX -> receive(now);
                case RX -> {
                    wake();
                    yield false;
                }
                default -> {
                    sendTransportReset(now);
                    yield false;
                }
            };
        } catch (VirtqueueException | GuestMemoryException e) {
            driverFailed();
            throw e;
        }
    }

    /** Takes the guest's packets; returns whether there are more. */
    private boolean receive(Driver now) {
        Virtqueue tx = now.tx;
        DescriptorChain chain = now.chain;
        long left = TURN;
        do {
            tx.disableNotifications();
            while (left > 0 && tx.pop(chain)) {
                if (packet.read(chain)) {
                    mux.receive(packet, chain);
                } else {
                    mux.drop();
                }
                left -= Math.max(Mux.PACKET_COST, chain.readableLength());
                tx.addUsed(chain, 0);
            }
        } while (left > 0 && tx.enableNotifications());
        if (tx.needsInterrupt()) {
            now.activation.interrupt().signalQueue(TX);
        }
        return left <= 0;
    }

    /** There may be something to send: it is, after what else is ready in this round of the loop. */
    private void wake() {
        if (!pumpPosted && driver != null) {
            pumpPosted = loop.post(pump);
        }
    }

    private void pumpPosted() {
        pumpPosted = false;
        Driver now = driver;
        if (now == null || now.paused) {
            return;
        }
        try {
            send(now);
        } catch (VirtqueueException | GuestMemoryException e) {
            driverFailed();
            now.activation.faults().needsReset(String.valueOf(e.getMessage()));
        }
    }

    private void send(Driver now) {
        long left = TURN;
        boolean starved;
        do {
            if (now.rxNotifications) {
                now.rx.disableNotifications();
                now.rxNotifications = false;
            }
            starved = false;
            while (left > 0 && !starved && mux.hasWork()) {
                long cost = mux.sendNext(now.buffers);
                starved = cost < 0;
                left -= cost;
                if (now.rx.needsInterrupt()) {
                    now.activation.interrupt().signalQueue(RX);
                }
            }
            now.rxNotifications = starved;
        } while (starved && now.rx.enableNotifications());
        if (!starved && mux.hasWork()) {
            wake();
        }
    }

    /** Section 5.10.6.7: after a restored snapshot the driver learns that its connections are gone. */
    private void sendTransportReset(Driver now) {
        if (!transportReset || now.activation.queues().get(EVENT).isEmpty()) {
            return;
        }
        Virtqueue queue = now.activation.requireQueue(EVENT);
        if (!queue.pop(now.chain)) {
            boolean _ = queue.enableNotifications();
            return;
        }
        byte[] event = new byte[(int) VirtioVsockEventLayout.SIZEOF];
        event[(int) VirtioVsockEventLayout.OFFSETOF_ID] = VirtioVsockConstants.VIRTIO_VSOCK_EVENT_TRANSPORT_RESET;
        int written = now.chain.write(0, event, 0, event.length);
        queue.addUsed(now.chain, written);
        transportReset = false;
        if (queue.needsInterrupt()) {
            now.activation.interrupt().signalQueue(EVENT);
        }
    }

    /** The driver waits for a reset, and its connections will not come back. */
    private void driverFailed() {
        driver = null;
        mux.resetAll("the guest's driver has failed");
    }

    @Override
    public void reset(Runnable stopped) {
        driver = null;
        mux.resetAll("the guest has reset its vsock device");
        stopped.run();
    }

    @Override
    public void pause(Runnable quiet) {
        if (driver != null) {
            driver.paused = true;
        }
        quiet.run();
    }

    @Override
    public void resume() {
        if (driver != null) {
            driver.paused = false;
            wake();
        }
    }

    @Override
    public State state() {
        return new State(transportReset);
    }

    @Override
    public void restore(Record state) {
        if (!(state instanceof State)) {
            throw new IllegalArgumentException("no state of a socket device: " + state);
        }
        transportReset = true;
    }

    @Override
    public boolean close(Duration deadline) {
        closed = true;
        driver = null;
        mux.resetAll("the VM has ended");
        listeners.values().forEach(HostListener::close);
        if (bridge != null) {
            bridge.close();
        }
        if (arena.scope().isAlive()) {
            arena.close();
        }
        return true;
    }
}
