package io.thimble.virtio.vsock;

import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_OP_CREDIT_REQUEST;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_OP_CREDIT_UPDATE;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_OP_INVALID;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_OP_REQUEST;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_OP_RESPONSE;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_OP_RST;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_OP_RW;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_OP_SHUTDOWN;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_RCV;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_SEND;
import static io.thimble.linux.abi.VirtioVsockConstants.VIRTIO_VSOCK_TYPE_STREAM;

import io.thimble.virtio.queue.DescriptorChain;
import java.util.ArrayDeque;
import java.util.Queue;

/**
 * The connections of a guest: takes its packets, and says what is sent to it next. Knows packets and buffers, but no queue. On
 * the loop's thread.
 *
 * <p>Nothing to be sent is queued as a packet: a connection remembers that it owes one, and stands in the list of those that
 * may have something to send, once. They take turns.
 */
@SuppressWarnings("NonAtomicVolatileUpdate") // the loop alone writes the counters
final class Mux {
    /** {@code VMADDR_CID_HOST} (linux/vm_sockets.h). */
    static final long HOST_CID = 2;

    /** What a packet without data counts for, where bytes are counted to be fair. */
    static final int PACKET_COST = 2048;

    /** Where ports for connections from the host begin, far from those that programs choose. */
    private static final int FIRST_HOST_PORT = 1 << 30;

    private final long guestCid;
    private final VsockLimits limits;
    private final HostPorts ports;
    private final Runnable wake;

    private final ConnectionTable table = new ConnectionTable();
    private final Queue<Connection> ready = new ArrayDeque<>();
    private final Queue<Connection> closing = new ArrayDeque<>();
    private final PendingResets resets = new PendingResets();
    private final VsockHeader out = new VsockHeader();
    private int nextHostPort = FIRST_HOST_PORT;

    // Written by the loop only, read by anyone.
    private volatile int connections;
    private volatile long fromGuest;
    private volatile long toGuest;
    private volatile long dropped;
    private volatile long lostResets;

    /**
     * Starts without connections.
     *
     * @param ports answers the guest's connections
     * @param wake is run when {@link #sendNext} may have something to do
     */
    Mux(long guestCid, VsockLimits limits, HostPorts ports, Runnable wake) {
        this.guestCid = guestCid;
        this.limits = limits;
        this.ports = ports;
        this.wake = wake;
    }

    VsockStatistics statistics() {
        return new VsockStatistics(connections, fromGuest, toGuest, dropped, lostResets);
    }

    /** Asks the guest for a connection; the endpoint hears how it went. */
    void connect(int guestPort, HostEndpoint endpoint) {
        if (!makeRoom()) {
            endpoint.reset(limits.connections() + " connections are open, which is the most");
            return;
        }
        int hostPort = freeHostPort(guestPort);
        Connection connection = new Connection(
                this,
                guestPort,
                hostPort,
                endpoint,
                new Credit(limits.windowOf(table.size())),
                Connection.State.REQUESTED,
                VIRTIO_VSOCK_OP_REQUEST);
        add(connection);
        endpoint.attached(connection, connection.credit.bufAlloc());
        touched(connection);
    }

    /** As many ports are taken as there are connections at most, so the search ends soon. */
    private int freeHostPort(int guestPort) {
        while (true) {
            int port = nextHostPort;
            nextHostPort = port == Integer.MAX_VALUE ? FIRST_HOST_PORT : port + 1;
            if (table.get(guestPort, port) == null) {
                return port;
            }
        }
    }

    private void add(Connection connection) {
        table.add(connection);
        connections = table.size();
    }

    /** A connection that waits only for the guest to confirm its end gives way. */
    private boolean makeRoom() {
        while (table.size() >= limits.connections()) {
            Connection oldest = closing.peek();
            if (oldest == null) {
                return false;
            }
            if (!resets.add(oldest.guestPort(), oldest.hostPort(), VIRTIO_VSOCK_TYPE_STREAM)) {
                lostResets++;
            }
            remove(oldest);
            wake.run();
        }
        return true;
    }

    private void remove(Connection connection) {
        if (connection.state == Connection.State.CLOSING) {
            closing.remove(connection);
        }
        connection.state = Connection.State.OVER;
        connection.endpoint = NoEndpoint.INSTANCE;
        if (connection.ready) {
            // Not left for its turn: a guest without buffers could make ever more that are over.
            connection.ready = false;
            ready.remove(connection);
        }
        table.remove(connection);
        connections = table.size();
    }

    /** Ends all connections without a word to the guest: it has gone, or forgets them as well. */
    void resetAll(String why) {
        resets.clear();
        ready.clear();
        closing.clear();
        table.clear(connection -> {
            boolean open = connection.isOpen();
            HostEndpoint endpoint = connection.endpoint;
            connection.state = Connection.State.OVER;
            connection.endpoint = NoEndpoint.INSTANCE;
            if (open) {
                endpoint.reset(why);
            }
        });
        connections = 0;
    }

    /** The connection may have something to send. */
    void touched(Connection connection) {
        if (!connection.ready && connection.state != Connection.State.OVER) {
            connection.ready = true;
            ready.add(connection);
            wake.run();
        }
    }

    /** Takes a packet of the guest's. */
    void receive(VsockHeader packet, DescriptorChain chain) {
        if (packet.srcCid != guestCid || packet.dstCid != HOST_CID) {
            dropped++;
            return;
        }
        if (packet.type != VIRTIO_VSOCK_TYPE_STREAM) {
            dropped++;
            refuse(packet);
            return;
        }
        Connection connection = table.get(packet.srcPort, packet.dstPort);
        if (connection == null) {
            if (packet.op == VIRTIO_VSOCK_OP_REQUEST) {
                request(packet);
            } else {
                refuse(packet);
            }
            return;
        }
        connection.heard(packet);
        if (packet.op == VIRTIO_VSOCK_OP_RST) {
            guestReset(connection);
            return;
        }
        switch (connection.state) {
            case REQUESTED -> whileRequested(connection, packet);
            case ESTABLISHED -> whileEstablished(connection, packet, chain);
            case CLOSING -> whileClosing(connection, packet);
            case RESETTING, OVER -> {} // the guest will hear of it
        }
    }

    /** Counts a packet that is none. */
    void drop() {
        dropped++;
    }

    /** A packet that belongs to no connection is answered by a reset, unless it is one. */
    private void refuse(VsockHeader packet) {
        if (packet.op != VIRTIO_VSOCK_OP_RST) {
            if (!resets.add(packet.srcPort, packet.dstPort, packet.type)) {
                lostResets++;
            }
            wake.run();
        }
    }

    private void request(VsockHeader packet) {
        if (!makeRoom()) {
            refuse(packet);
            return;
        }
        int window = limits.windowOf(table.size());
        HostEndpoint endpoint = ports.accept(packet.dstPort);
        if (endpoint == null) {
            refuse(packet);
            return;
        }
        Connection connection = new Connection(
                this,
                packet.srcPort,
                packet.dstPort,
                endpoint,
                new Credit(window),
                Connection.State.ESTABLISHED,
                VIRTIO_VSOCK_OP_RESPONSE);
        connection.heard(packet);
        add(connection);
        endpoint.attached(connection, window);
        endpoint.opened();
        touched(connection);
    }

    private void guestReset(Connection connection) {
        boolean open = connection.isOpen();
        boolean requested = connection.state == Connection.State.REQUESTED;
        HostEndpoint endpoint = connection.endpoint;
        remove(connection);
        if (open) {
            endpoint.reset(
                    requested
                            ? "the guest has refused: nothing listens on port "
                                    + Integer.toUnsignedString(connection.guestPort())
                            : "the guest has reset the connection");
        }
    }

    private void whileRequested(Connection connection, VsockHeader packet) {
        if (packet.op == VIRTIO_VSOCK_OP_RESPONSE && connection.opening == VIRTIO_VSOCK_OP_INVALID) {
            connection.state = Connection.State.ESTABLISHED;
            connection.endpoint.opened();
            touched(connection);
        } else {
            violated(connection, "operation " + packet.op + " before the connection was open");
        }
    }

    private void whileEstablished(Connection connection, VsockHeader packet, DescriptorChain chain) {
        switch (packet.op) {
            case VIRTIO_VSOCK_OP_RW -> data(connection, packet, chain);
            case VIRTIO_VSOCK_OP_CREDIT_UPDATE -> {}
            case VIRTIO_VSOCK_OP_CREDIT_REQUEST -> {
                connection.creditAsked = true;
                touched(connection);
            }
            case VIRTIO_VSOCK_OP_SHUTDOWN -> shutDown(connection, packet.flags & Connection.SHUTDOWN_BOTH);
            default -> violated(connection, "operation " + packet.op + " in an open connection");
        }
        if (connection.canSend()) {
            touched(connection);
        }
    }

    private void data(Connection connection, VsockHeader packet, DescriptorChain chain) {
        long length = Integer.toUnsignedLong(packet.len);
        Credit credit = connection.credit;
        if (length > chain.readableLength() - VsockHeader.SIZEOF) {
            violated(connection, "a packet of " + length + " bytes in a buffer of " + chain.readableLength());
        } else if ((connection.guestShutdown & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0) {
            violated(connection, "data after the end of data");
        } else if (!credit.mayReceive(length)) {
            violated(connection, "more data than there was credit for");
        } else if (length > 0) {
            credit.received(length);
            fromGuest += length;
            connection.endpoint.receive(chain, VsockHeader.SIZEOF, length);
            credit.consumed(connection.endpoint.consumed());
            if (credit.updateDue()) {
                touched(connection);
            }
        }
    }

    private void shutDown(Connection connection, int flags) {
        connection.guestShutdown |= flags;
        if ((flags & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0) {
            connection.endOfData = true; // whatever the host's end still has is for nobody
            touched(connection);
        }
        connection.endpoint.guestShutDown(connection.guestShutdown);
        if (connection.guestShutdown == Connection.SHUTDOWN_BOTH) {
            HostEndpoint endpoint = connection.endpoint;
            resetting(connection);
            endpoint.finished();
        }
    }

    private void whileClosing(Connection connection, VsockHeader packet) {
        boolean bothEnds = packet.op == VIRTIO_VSOCK_OP_SHUTDOWN
                && (connection.guestShutdown |= packet.flags & Connection.SHUTDOWN_BOTH) == Connection.SHUTDOWN_BOTH;
        if (bothEnds) {
            closing.remove(connection);
            resetting(connection);
        }
        // Data that was on its way is for nobody.
    }

    /** The guest has broken a rule within one connection, which pays for it alone. */
    private void violated(Connection connection, String rule) {
        dropped++;
        HostEndpoint endpoint = connection.endpoint;
        resetting(connection);
        endpoint.reset("the guest has broken the protocol: " + rule);
    }

    private void resetting(Connection connection) {
        connection.state = Connection.State.RESETTING;
        connection.endpoint = NoEndpoint.INSTANCE;
        touched(connection);
    }

    /** Tells whether {@link #sendNext} has something to do. */
    boolean hasWork() {
        return !ready.isEmpty() || !resets.isEmpty();
    }

    /**
     * Sends what is next.
     *
     * @param buffers to put it into
     * @return what it cost, in bytes, {@link #PACKET_COST} a packet without data; -1 if the guest has no buffer for it
     */
    long sendNext(RxBuffers buffers) {
        if (!resets.isEmpty()) {
            if (!buffers.take(1)) {
                return -1;
            }
            resets.take(out);
            out.op = VIRTIO_VSOCK_OP_RST;
            out.flags = 0;
            out.bufAlloc = 0;
            out.fwdCnt = 0;
            address();
            buffers.commit(out, 0);
            return PACKET_COST;
        }
        Connection connection = ready.element();
        long cost = turn(connection, buffers);
        if (cost >= 0 && connection.ready) {
            ready.remove();
            connection.ready = false;
            if (connection.wantsTurn()) {
                connection.ready = true;
                ready.add(connection);
            }
        }
        return cost;
    }

    /** Lets a connection send all control packets that it owes, and one burst of data. */
    private long turn(Connection connection, RxBuffers buffers) {
        long cost = 0;
        if (connection.isOpen() && connection.endpoint.isAborted()) {
            HostEndpoint endpoint = connection.endpoint;
            resetting(connection);
            endpoint.reset("given up by the host's end");
        }
        if (connection.state == Connection.State.RESETTING) {
            if (!control(connection, VIRTIO_VSOCK_OP_RST, 0, buffers)) {
                return -1;
            }
            remove(connection);
            return PACKET_COST;
        }
        if (connection.isOpen() && connection.opening != VIRTIO_VSOCK_OP_INVALID) {
            if (!control(connection, connection.opening, 0, buffers)) {
                return -1;
            }
            connection.opening = VIRTIO_VSOCK_OP_INVALID;
            cost += PACKET_COST;
        }
        if (connection.state != Connection.State.ESTABLISHED) {
            return cost;
        }
        connection.credit.consumed(connection.endpoint.consumed());
        if (connection.canSend()) {
            long sent = burst(connection, buffers);
            if (sent < 0) {
                return -1;
            }
            cost += sent;
        }
        int shutdown = connection.endpoint.shutDownFlags() | (connection.endOfData ? VIRTIO_VSOCK_SHUTDOWN_SEND : 0);
        if (shutdown != connection.sentShutdown) {
            if (!control(connection, VIRTIO_VSOCK_OP_SHUTDOWN, shutdown, buffers)) {
                return -1;
            }
            connection.sentShutdown = shutdown;
            cost += PACKET_COST;
        }
        if (connection.creditAsked || connection.credit.updateDue()) {
            if (!control(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, buffers)) {
                return -1;
            }
            connection.creditAsked = false;
            cost += PACKET_COST;
        }
        if (connection.sentShutdown == Connection.SHUTDOWN_BOTH) {
            HostEndpoint endpoint = connection.endpoint;
            connection.state = Connection.State.CLOSING;
            connection.endpoint = NoEndpoint.INSTANCE;
            closing.add(connection);
            endpoint.finished();
        }
        return cost;
    }

    private long burst(Connection connection, RxBuffers buffers) {
        long most = Math.min(connection.credit.peerFree(), connection.burst);
        if (!buffers.take(most)) {
            return -1;
        }
        most = Math.min(most, buffers.capacity());
        long sent = connection.endpoint.send(buffers, most);
        if (sent <= 0) {
            buffers.giveBack();
            connection.endOfData = sent < 0;
            connection.burst = Connection.FIRST_BURST;
            return 0;
        }
        fill(connection, VIRTIO_VSOCK_OP_RW, 0);
        buffers.commit(out, sent);
        connection.credit.sent(sent);
        toGuest += sent;
        // Popping buffers in vain costs time as well: take more only from a connection that had enough for all.
        connection.burst = sent == most
                ? Math.min(2 * connection.burst, Connection.MOST_BURST)
                : (int) Math.max(sent, Connection.FIRST_BURST);
        return sent;
    }

    private boolean control(Connection connection, int op, int flags, RxBuffers buffers) {
        if (!buffers.take(1)) {
            return false;
        }
        fill(connection, op, flags);
        buffers.commit(out, 0);
        return true;
    }

    private void fill(Connection connection, int op, int flags) {
        out.srcPort = connection.hostPort();
        out.dstPort = connection.guestPort();
        out.type = VIRTIO_VSOCK_TYPE_STREAM;
        out.op = op;
        out.flags = flags;
        connection.credit.stamp(out);
        address();
    }

    private void address() {
        out.srcCid = HOST_CID;
        out.dstCid = guestCid;
    }
}
