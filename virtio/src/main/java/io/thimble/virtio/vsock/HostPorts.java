package io.thimble.virtio.vsock;

import org.jspecify.annotations.Nullable;

/** Who answers when the guest connects. On the loop's thread; must not block. */
@FunctionalInterface
interface HostPorts {
    /**
     * Makes the host's end of a connection from the guest.
     *
     * @param hostPort to which it connects, unsigned
     * @return null to refuse
     */
    @Nullable
    HostEndpoint accept(int hostPort);
}
