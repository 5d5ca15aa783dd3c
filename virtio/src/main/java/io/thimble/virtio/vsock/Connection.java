package io.thimble.virtio.vsock;

import io.thimble.linux.abi.VirtioVsockConstants;

/** What the device keeps of one connection. On the loop's thread. */
final class Connection implements HostConnection {
    /** Both directions. */
    static final int SHUTDOWN_BOTH =
            VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_RCV | VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_SEND;

    /** How far a connection has come. */
    enum State {
        /** The guest has been asked, or is to be, and has not answered. */
        REQUESTED,
        /** Data may flow. */
        ESTABLISHED,
        /** The host's end is closed, and the guest's reset, which confirms that, awaited. */
        CLOSING,
        /** A reset is to be sent, which is the last packet; the endpoint knows already. */
        RESETTING,
        /** Nothing will come any more. */
        OVER
    }

    static final int FIRST_BURST = 4096;
    static final int MOST_BURST = 256 << 10;

    private final Mux mux;
    private final int guestPort;
    private final int hostPort;
    HostEndpoint endpoint;
    final Credit credit;

    private volatile int creditStep = 1;

    State state;
    /** The packet that opens the connection and is still to be sent, or VIRTIO_VSOCK_OP_INVALID. */
    int opening;

    int guestShutdown;
    int sentShutdown;
    boolean endOfData;
    boolean creditAsked;
    /** Whether it stands in the list of those that may have something to send. */
    boolean ready;
    /** How many bytes are likely to come from the endpoint at once. */
    int burst = FIRST_BURST;

    Connection(Mux mux, int guestPort, int hostPort, HostEndpoint endpoint, Credit credit, State state, int opening) {
        this.mux = mux;
        this.guestPort = guestPort;
        this.hostPort = hostPort;
        this.endpoint = endpoint;
        this.credit = credit;
        this.state = state;
        this.opening = opening;
    }

    @Override
    public int guestPort() {
        return guestPort;
    }

    @Override
    public int hostPort() {
        return hostPort;
    }

    /** Takes what a packet of the guest's says of its room. */
    void heard(VsockHeader packet) {
        credit.heard(packet.bufAlloc, packet.fwdCnt);
        int step = credit.step();
        if (creditStep != step) {
            creditStep = step;
        }
    }

    @Override
    public int creditStep() {
        return creditStep;
    }

    @Override
    public void touch() {
        mux.touched(this);
    }

    /** Tells whether the endpoint still belongs to it. */
    boolean isOpen() {
        return state == State.REQUESTED || state == State.ESTABLISHED;
    }

    /** Tells whether there is more to do for it, as far as is known. */
    boolean wantsTurn() {
        return canSend() || (isOpen() && endpoint.isAborted());
    }

    /** Tells whether data for the guest could be sent now. */
    boolean canSend() {
        return state == State.ESTABLISHED && !endOfData && endpoint.hasData() && credit.peerFree() > 0;
    }

    @Override
    public String toString() {
        return "connection of guest port " + Integer.toUnsignedString(guestPort) + " and host port "
                + Integer.toUnsignedString(hostPort) + " (" + state + ")";
    }
}
