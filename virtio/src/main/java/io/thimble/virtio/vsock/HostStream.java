package io.thimble.virtio.vsock;

import io.thimble.linux.abi.VirtioVsockConstants;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.queue.DescriptorChain;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.MemorySegment;
import java.net.ConnectException;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A connection to the guest for this process's threads, virtual ones too: reading and writing park them, and pin no carrier.
 *
 * <p>Safe for use by several threads: one at a time reads, one at a time writes. Between them and the loop's thread lie two
 * byte queues without locks; the loop never waits for a thread.
 */
public final class HostStream {
    private static final int SEND_CAPACITY = 256 << 10;

    private final DeviceLoop loop;
    private final Consumer<HostStream> whenOpen;
    private final HostEndpoint loopSide = new LoopSide();
    private final Runnable service = this::service;
    private final AtomicBoolean servicePosted = new AtomicBoolean();

    private final ReentrantLock readLock = new ReentrantLock();
    private final ReentrantLock writeLock = new ReentrantLock();
    private final Gate opened = new Gate();
    private final Gate readable = new Gate();
    private final Gate writable = new Gate();
    private final ByteRing output = ByteRing.onHeap(SEND_CAPACITY);
    private volatile @Nullable ByteRing input; // written by the loop, before isOpen
    private volatile @Nullable HostConnection connection; // likewise; null again when it is over

    // Written by the loop.
    private volatile boolean isOpen;
    private volatile boolean inputEnded;
    private volatile boolean outputRefused;
    private volatile @Nullable String resetReason;
    private long discarded;
    private volatile int hostPort;
    private volatile int guestPort;

    // Written by the stream's threads.
    private volatile boolean inputShut;
    private volatile boolean outputShut;
    private volatile boolean closed;
    private volatile boolean aborted;

    /**
     * Makes a stream that is not open.
     *
     * @param whenOpen is run on the loop's thread
     */
    HostStream(DeviceLoop loop, Consumer<HostStream> whenOpen) {
        this.loop = loop;
        this.whenOpen = whenOpen;
    }

    /** Returns the end that the device knows. */
    HostEndpoint endpoint() {
        return loopSide;
    }

    /**
     * Waits until the guest has accepted the connection.
     *
     * @param timeout at most so long, zero for ever; the connection is given up then, as after any exception
     * @throws ConnectException if the guest refuses, or cannot be asked
     * @throws java.net.SocketTimeoutException if it does not answer
     * @throws InterruptedIOException if the thread is interrupted; it stays so
     */
    public void awaitOpen(Duration timeout) throws IOException {
        try {
            opened.await(() -> isOpen || resetReason != null || closed, timeout);
        } catch (InterruptedIOException e) {
            abort();
            throw e;
        }
        if (!isOpen) {
            String reason = resetReason;
            throw reason == null ? new AsynchronousCloseException() : new ConnectException(reason);
        }
    }

    /**
     * Reads what there is, at least one byte.
     *
     * @param timeout how long to wait for it at most, zero for ever
     * @return how many bytes, or -1 at the end of the stream; 0 only if there is no room for any
     * @throws java.net.SocketTimeoutException if nothing came
     * @throws InterruptedIOException if the thread is interrupted; it stays so, and nothing was read
     * @throws ClosedChannelException if this end is closed
     * @throws IOException if the connection was reset; what came before is read first
     */
    public int read(MemorySegment dst, long offset, long length, Duration timeout) throws IOException {
        if (length == 0) {
            return 0;
        }
        Locks.lock(readLock);
        try {
            while (true) {
                requireOpen();
                boolean ended = inputEnded || inputShut;
                String reason = resetReason;
                int read = take(dst, offset, length);
                if (read > 0) {
                    return read;
                }
                if (ended) {
                    return -1;
                }
                if (reason != null) {
                    throw new IOException(reason);
                }
                readable.await(this::canRead, timeout);
                if (closed) {
                    throw new AsynchronousCloseException();
                }
            }
        } finally {
            readLock.unlock();
        }
    }

    private boolean canRead() {
        ByteRing from = input;
        return (from != null && !from.isEmpty()) || inputEnded || inputShut || resetReason != null || closed;
    }

    private int take(MemorySegment dst, long offset, long length) {
        ByteRing from = input;
        if (from == null || inputShut) {
            return 0;
        }
        long before = from.consumed();
        int read = from.read(dst, offset, length);
        // Often enough for the guest never to wait for credit that it has; not for each byte.
        HostConnection current = connection;
        if (current != null) {
            int step = current.creditStep();
            if (before / step != (before + read) / step) {
                wake();
            }
        }
        return read;
    }

    /**
     * Returns how many bytes can be read at once.
     *
     * @throws ClosedChannelException if this end is closed
     */
    public int available() throws ClosedChannelException {
        requireOpen();
        ByteRing from = input;
        return from == null || inputShut ? 0 : from.size();
    }

    /**
     * Writes all of it.
     *
     * @param timeout how long to wait each time that there is no room, zero for ever
     * @throws java.net.SocketTimeoutException if the guest took too little; {@code bytesTransferred} tells how much was
     *     written
     * @throws InterruptedIOException if the thread is interrupted, likewise; it stays so
     * @throws ClosedChannelException if this end, or its output, is closed
     * @throws IOException if the guest takes nothing any more, or has reset the connection
     */
    public void write(MemorySegment src, long offset, long length, Duration timeout) throws IOException {
        Locks.lock(writeLock);
        long done = 0;
        try {
            while (true) {
                requireOutput();
                int written = output.write(src, offset + done, length - done);
                if (written > 0) {
                    wake();
                }
                done += written;
                if (done == length) {
                    return;
                }
                writable.await(this::canWrite, timeout);
            }
        } catch (InterruptedIOException e) {
            e.bytesTransferred = (int) done;
            throw e;
        } finally {
            writeLock.unlock();
        }
    }

    private boolean canWrite() {
        return hasRoom() || outputShut || outputRefused || resetReason != null || closed;
    }

    /** A quarter of the queue, so that a waiting thread is not woken for each packet. */
    private boolean hasRoom() {
        return output.size() <= output.capacity() - output.capacity() / 4;
    }

    private void requireOutput() throws IOException {
        requireOpen();
        if (outputShut) {
            throw new ClosedChannelException();
        }
        String reason = resetReason;
        if (reason != null) {
            throw new IOException(reason);
        }
        if (outputRefused) {
            throw new IOException("Broken pipe: the guest reads no more");
        }
    }

    private void requireOpen() throws ClosedChannelException {
        if (closed) {
            throw new ClosedChannelException();
        }
    }

    /** Ends the output; what was written before is still sent. The guest reads the end of the stream then. */
    public void shutdownOutput() {
        outputShut = true;
        writable.open();
        wake();
    }

    /** Takes nothing from the guest any more; it is told so. Reads give the end of the stream. */
    public void shutdownInput() {
        inputShut = true;
        readable.open();
        wake();
    }

    /** Closes both directions; what was written is still sent. Does not wait. */
    public void close() {
        closed = true;
        opened.open();
        shutdownInput();
        shutdownOutput();
        if (!isOpen) {
            abort();
        }
    }

    /** Closes at once by a reset; what was written may be lost. */
    public void abort() {
        aborted = true;
        if (!closed) {
            close();
        } else {
            wake();
        }
    }

    /** Tells whether {@link #close} or {@link #abort} was called. */
    public boolean isClosed() {
        return closed;
    }

    /** Returns the port at the host's end, unsigned; 0 before it is open. */
    public int hostPort() {
        return hostPort;
    }

    /** Returns the port at the guest's end, unsigned; 0 before it is open. */
    public int guestPort() {
        return guestPort;
    }

    /** Lets the loop look at what this end wants. */
    private void wake() {
        if (servicePosted.compareAndSet(false, true)) {
            boolean _ = loop.post(service); // refused when the VM has ended, and the connection with it
        }
    }

    private void service() {
        servicePosted.set(false);
        HostConnection current = connection;
        if (current != null) {
            current.touch();
        }
    }

    /** What the loop calls. */
    private final class LoopSide implements HostEndpoint {
        @Override
        public void attached(HostConnection newConnection, int window) {
            hostPort = newConnection.hostPort();
            guestPort = newConnection.guestPort();
            input = ByteRing.onHeap(window);
            connection = newConnection;
        }

        @Override
        public void opened() {
            isOpen = true;
            opened.open();
            whenOpen.accept(HostStream.this);
        }

        @Override
        public void receive(DescriptorChain chain, long offset, long length) {
            ByteRing to = input;
            if (to == null || inputShut) {
                discarded += length;
                return;
            }
            int written = to.write(chain, offset, length);
            if (written != length) {
                throw new IllegalStateException(length + " bytes, with room for " + written);
            }
            readable.open();
        }

        @Override
        public long consumed() {
            ByteRing from = input;
            return (from == null ? 0 : from.consumed()) + discarded;
        }

        @Override
        public boolean hasData() {
            return outputShut || !output.isEmpty();
        }

        @Override
        public long send(RxBuffers buffers, long most) {
            boolean last = outputShut; // first: what was written before that is in the queue
            int sent = output.moveTo(buffers, most);
            if (sent > 0) {
                if (hasRoom()) {
                    writable.open();
                }
                return sent;
            }
            return last ? -1 : 0;
        }

        @Override
        public int shutDownFlags() {
            return inputShut ? VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_RCV : 0;
        }

        @Override
        public boolean isAborted() {
            return aborted;
        }

        @Override
        public void guestShutDown(int flags) {
            if ((flags & VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_SEND) != 0) {
                inputEnded = true;
            }
            if ((flags & VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_RCV) != 0) {
                outputRefused = true;
            }
            openAll();
        }

        @Override
        public void finished() {
            connection = null;
            inputEnded = true;
            outputRefused = true;
            openAll();
        }

        @Override
        public void reset(String why) {
            connection = null;
            resetReason = why;
            openAll();
        }
    }

    private void openAll() {
        opened.open();
        readable.open();
        writable.open();
    }

    @Override
    public String toString() {
        return "vsock stream of guest port " + Integer.toUnsignedString(guestPort) + " and host port "
                + Integer.toUnsignedString(hostPort)
                + (closed ? " (closed)" : resetReason != null ? " (reset)" : isOpen ? "" : " (opening)");
    }
}
