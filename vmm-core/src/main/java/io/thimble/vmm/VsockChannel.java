package io.thimble.vmm;

import io.thimble.virtio.vsock.HostStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.time.Duration;

/**
 * A connection to a program in the guest.
 *
 * <p>Safe for use by several threads: at a time one reads and one writes, others wait for them. All methods block as the
 * calling thread, platform or virtual, should; a virtual thread gives its carrier free meanwhile.
 *
 * <p>An interrupt ends a blocked call with {@link java.io.InterruptedIOException}, a timeout with {@link
 * java.net.SocketTimeoutException}, which is one too; both leave the connection as it is, and tell how many bytes were written.
 * When the guest resets the connection or the VM ends, calls throw {@link IOException}, reading only when everything that came
 * before has been read.
 */
public final class VsockChannel implements ByteChannel {
    private final HostStream stream;
    private volatile Duration readTimeout = Duration.ZERO;
    private volatile Duration writeTimeout = Duration.ZERO;

    VsockChannel(HostStream stream) {
        this.stream = stream;
    }

    void awaitOpen(Duration timeout) throws IOException {
        stream.awaitOpen(timeout);
    }

    /** Sets how long a read waits for the first byte; zero, as at first, for ever. */
    public VsockChannel readTimeout(Duration timeout) {
        readTimeout = checked(timeout);
        return this;
    }

    /** Sets how long a write waits each time that the guest leaves no room; zero, as at first, for ever. */
    public VsockChannel writeTimeout(Duration timeout) {
        writeTimeout = checked(timeout);
        return this;
    }

    private static Duration checked(Duration timeout) {
        if (timeout.isNegative()) {
            throw new IllegalArgumentException("timeout: " + timeout);
        }
        return timeout;
    }

    /** Returns the port of this end, unsigned. */
    public int hostPort() {
        return stream.hostPort();
    }

    /** Returns the port of the guest's end, unsigned. */
    public int guestPort() {
        return stream.guestPort();
    }

    /**
     * Reads what has come, at least one byte unless {@code dst} has no room.
     *
     * @return how many bytes; -1 when the guest has ended its output
     */
    @Override
    public int read(ByteBuffer dst) throws IOException {
        int room = dst.remaining();
        int read = stream.read(MemorySegment.ofBuffer(dst), 0, room, readTimeout);
        if (read > 0) {
            dst.position(dst.position() + read);
        }
        return read;
    }

    /**
     * Writes all remaining bytes. They are sent as the guest takes them: that this has returned does not say that they have
     * arrived.
     *
     * @return how many there were
     */
    @Override
    public int write(ByteBuffer src) throws IOException {
        int length = src.remaining();
        long written = 0;
        try {
            stream.write(MemorySegment.ofBuffer(src), 0, length, writeTimeout);
            written = length;
        } catch (InterruptedIOException e) {
            written = e.bytesTransferred;
            throw e;
        } finally {
            src.position(src.position() + (int) written);
        }
        return length;
    }

    /** Returns a view for reading; closing it closes the channel. */
    public InputStream inputStream() {
        return new In();
    }

    /** Returns a view for writing, unbuffered; closing it closes the channel. */
    public OutputStream outputStream() {
        return new Out();
    }

    /** Ends the output: the guest reads the end of the stream behind what was written. */
    public void shutdownOutput() {
        stream.shutdownOutput();
    }

    /** Takes nothing from the guest any more: its writes fail, reads here give -1. */
    public void shutdownInput() {
        stream.shutdownInput();
    }

    /** Closes at once by a reset; what was written and has not been taken is lost. */
    public void abort() {
        stream.abort();
    }

    @Override
    public boolean isOpen() {
        return !stream.isClosed();
    }

    /** Closes both directions. What was written is still sent; this does not wait for it. */
    @Override
    public void close() {
        stream.close();
    }

    @Override
    public String toString() {
        return stream.toString();
    }

    private final class In extends InputStream {
        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] dst, int offset, int length) throws IOException {
            return stream.read(MemorySegment.ofArray(dst), offset, length, readTimeout);
        }

        @Override
        public int available() throws IOException {
            return stream.available();
        }

        @Override
        public void close() {
            VsockChannel.this.close();
        }
    }

    private final class Out extends OutputStream {
        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] src, int offset, int length) throws IOException {
            stream.write(MemorySegment.ofArray(src), offset, length, writeTimeout);
        }

        @Override
        public void close() {
            VsockChannel.this.close();
        }
    }
}
