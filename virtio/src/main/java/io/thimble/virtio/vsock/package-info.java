/**
 * The socket device (virtio 1.2, section 5.10) in user space: streams between the guest and endpoints in this process.
 *
 * <p>{@code VsockDevice} serves the queues; {@code Mux} holds the connections and decides what is sent next; a {@code
 * HostEndpoint} is the host's end of one connection.
 */
@NullMarked
package io.thimble.virtio.vsock;

import org.jspecify.annotations.NullMarked;
