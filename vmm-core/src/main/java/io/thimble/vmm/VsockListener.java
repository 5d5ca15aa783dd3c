package io.thimble.vmm;

import io.thimble.virtio.vsock.HostListener;
import java.io.IOException;
import java.time.Duration;

/** A port of the host's to which programs in one VM connect. Safe for use by several threads; ends with the VM. */
public final class VsockListener implements AutoCloseable {
    private final HostListener listener;

    VsockListener(HostListener listener) {
        this.listener = listener;
    }

    /** Returns the port, unsigned. */
    public int port() {
        return listener.port();
    }

    /** As {@link #accept(Duration)}, without a limit. */
    public VsockChannel accept() throws IOException {
        return accept(Duration.ZERO);
    }

    /**
     * Waits for a connection.
     *
     * @param timeout at most so long, zero for ever
     * @throws java.net.SocketTimeoutException if none came
     * @throws java.io.InterruptedIOException if the thread is interrupted; it stays so
     * @throws java.nio.channels.ClosedChannelException if the listener is closed, or the VM has ended
     */
    public VsockChannel accept(Duration timeout) throws IOException {
        return new VsockChannel(listener.accept(timeout));
    }

    /** Refuses further connections, and resets those that nobody has accepted; accepted ones stay. */
    @Override
    public void close() {
        listener.close();
    }

    @Override
    public String toString() {
        return listener.toString();
    }
}
