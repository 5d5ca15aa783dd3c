package io.thimble.vmm.guest;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Takes one output stream of a program in the guest. Called on the connection's reading thread, which serves the other stream as well:
 * it must not wait. Credit that it gives back lets the guest send more.
 */
interface OutputSink {
    /** Gives credit back; any thread. */
    @FunctionalInterface
    interface Credit {
        void give(int bytes);
    }

    /**
     * Takes bytes.
     *
     * @throws IOException if the guest sends more than it had credit for, or more than is wanted: the connection ends
     */
    void accept(ByteBuffer bytes) throws IOException;

    /** Says that no more follow; the last call. */
    void end();

    /** Says that no more follow though there may be some; the last call, without effect after {@link #end}. */
    void fail(IOException reason);
}
