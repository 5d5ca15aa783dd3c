package io.thimble.vmm.guest;

import java.io.IOException;
import java.nio.channels.ByteChannel;

/** Connects to the guest's agent. */
@FunctionalInterface
public interface AgentConnector {
    /** The port at which the agent listens in the guest. */
    int PORT = 1024;

    /** The port of the host to which the agent connects with the streams of the command it was started for. */
    int SESSION_PORT = 1024;

    /**
     * Returns a new connection, whose calls block; one thread may read while another writes.
     *
     * @throws io.thimble.vmm.GuestException if nobody is there
     */
    ByteChannel connect() throws IOException;
}
