package io.thimble.virtio.vsock;

/** What the device keeps of a connection, for its endpoint. On the loop's thread. */
interface HostConnection {
    /** The endpoint may want something else now; see {@link HostEndpoint}. */
    void touch();

    /** Returns how many bytes the endpoint may take from the guest before it calls {@link #touch}. From any thread. */
    int creditStep();

    /** Returns the host's port, unsigned. */
    int hostPort();

    /** Returns the guest's port, unsigned. */
    int guestPort();
}
