package io.thimble.virtio.vsock;

import io.thimble.virtio.device.DeviceLoop;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A port of the host's to which the guest can connect. Safe for use by several threads. */
public final class HostListener implements AutoCloseable {
    private final int port;
    private final int backlog;
    private final DeviceLoop loop;
    private final Consumer<HostListener> atClose;
    private final Queue<HostStream> waiting = new ConcurrentLinkedQueue<>();
    private final AtomicInteger count = new AtomicInteger();
    private final ReentrantLock acceptLock = new ReentrantLock();
    private final Gate gate = new Gate();
    private volatile boolean closed;

    HostListener(int port, int backlog, DeviceLoop loop, Consumer<HostListener> atClose) {
        if (backlog < 1) {
            throw new IllegalArgumentException("backlog: " + backlog);
        }
        this.port = port;
        this.backlog = backlog;
        this.loop = loop;
        this.atClose = atClose;
    }

    /** Returns the port, unsigned. */
    public int port() {
        return port;
    }

    /** Makes a stream that will wait to be accepted, or returns null if too many do; on the loop's thread. */
    @Nullable
    HostStream offer() {
        if (closed || count.get() >= backlog) {
            return null;
        }
        return new HostStream(loop, this::add);
    }

    private void add(HostStream stream) {
        count.getAndIncrement();
        waiting.add(stream);
        gate.open();
        if (closed) {
            abortWaiting();
        }
    }

    /**
     * Waits for a connection.
     *
     * @param timeout at most so long, zero for ever
     * @return an open stream, though the guest may have ended it since
     * @throws java.net.SocketTimeoutException if none came
     * @throws InterruptedIOException if the thread is interrupted; it stays so
     * @throws ClosedChannelException if the listener is closed, or the VM has ended
     */
    public HostStream accept(Duration timeout) throws IOException {
        if (closed) {
            throw new ClosedChannelException();
        }
        Locks.lock(acceptLock);
        try {
            gate.await(() -> closed || !waiting.isEmpty(), timeout);
            HostStream stream = waiting.poll();
            if (stream == null) {
                throw new AsynchronousCloseException();
            }
            count.getAndDecrement();
            return stream;
        } finally {
            acceptLock.unlock();
        }
    }

    /** Refuses further connections, and resets those that nobody has accepted. */
    @Override
    public void close() {
        closed = true;
        atClose.accept(this);
        gate.open();
        abortWaiting();
    }

    private void abortWaiting() {
        HostStream stream;
        while ((stream = waiting.poll()) != null) {
            stream.abort();
        }
    }

    @Override
    public String toString() {
        return "vsock port " + Integer.toUnsignedString(port) + (closed ? " (closed)" : "");
    }
}
