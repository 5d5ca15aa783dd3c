package io.thimble.virtio.vsock;

import io.thimble.virtio.queue.DescriptorChain;

/**
 * The host's end of one connection. All methods are called on the loop's thread and do not block. After {@link #reset} or
 * {@link #finished}, no other method is called.
 *
 * <p>The device asks the endpoint what it wants whenever {@link HostConnection#touch} was called; the endpoint calls it when
 * any of {@link #hasData}, {@link #consumed}, {@link #shutDownFlags} or {@link #isAborted} may have changed.
 */
interface HostEndpoint {
    /**
     * Becomes the end of a connection; the first call, unless that is {@link #reset}.
     *
     * @param window how many bytes the guest may have sent that this end has not passed on
     */
    void attached(HostConnection connection, int window);

    /** The connection is open: the guest has accepted it, or this end has. */
    void opened();

    /**
     * Takes bytes that the guest has sent, all of them: the guest keeps to its credit, so there is room.
     *
     * @param offset of the first byte among the chain's readable ones
     */
    void receive(DescriptorChain chain, long offset, long length);

    /** Returns how many bytes in total were taken from the guest and need no room here any more. */
    long consumed();

    /** Tells whether {@link #send} may have something, the end of the data included. */
    boolean hasData();

    /**
     * Moves bytes for the guest into its buffers.
     *
     * @param most at most so many, and no more than {@link RxBuffers#capacity}
     * @return how many; 0 if there is nothing yet; -1 if nothing will follow
     */
    long send(RxBuffers buffers, long most);

    /** Returns {@code VIRTIO_VSOCK_SHUTDOWN_RCV} if this end takes nothing any more, and 0 otherwise. */
    int shutDownFlags();

    /** Tells whether this end gives up the connection at once. */
    boolean isAborted();

    /**
     * The guest will not send ({@code VIRTIO_VSOCK_SHUTDOWN_SEND}) or not take ({@code VIRTIO_VSOCK_SHUTDOWN_RCV}) any more.
     *
     * @param flags all that it has said so far
     */
    void guestShutDown(int flags);

    /** The connection is over, in good order: nothing is to be sent or received any more. */
    void finished();

    /**
     * The connection is over, in bad order, or never came to be.
     *
     * @param why for messages
     */
    void reset(String why);
}
