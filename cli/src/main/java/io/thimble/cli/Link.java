package io.thimble.cli;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import org.jspecify.annotations.Nullable;

/**
 * The launcher's streams between this host and the nested one, as frames on one byte stream: a byte of {@link Kind}, four of
 * length (big endian), the payload. One thread may receive; any may send.
 *
 * @see NestedRun the host's end
 * @see NestedMain the nested end
 */
final class Link implements Closeable {
    /** The largest payload in bytes. */
    static final int LARGEST = 32 << 10;

    private static final int HEADER = 1 + Integer.BYTES;

    /** What a frame holds. */
    enum Kind {
        /** To the nested host: standard input; empty at its end. */
        STDIN(1),
        /** To the nested host: two ints, the rows and columns of the terminal's window. */
        WINDOW(2),
        /** From the nested host: standard output. */
        STDOUT(3),
        /** From the nested host: standard error. */
        STDERR(4),
        /** From the nested host, the last: an int, the launcher's exit status. */
        EXIT(5);

        private final byte code;

        Kind(int code) {
            this.code = (byte) code;
        }

        private static Kind of(byte code) throws IOException {
            for (Kind kind : values()) {
                if (kind.code == code) {
                    return kind;
                }
            }
            throw new IOException("no frame is of kind " + code);
        }
    }

    /**
     * One frame.
     *
     * @param payload to be read from its position to its limit
     */
    record Frame(Kind kind, ByteBuffer payload) {
        boolean isEmpty() {
            return !payload.hasRemaining();
        }

        void writeTo(OutputStream stream) throws IOException {
            stream.write(payload.array(), payload.arrayOffset() + payload.position(), payload.remaining());
        }

        /** Reads the next integer. */
        int number() throws IOException {
            if (payload.remaining() < Integer.BYTES) {
                throw new IOException("a frame of kind " + kind + " is too short");
            }
            return payload.getInt();
        }
    }

    private final ReadableByteChannel in;
    private final WritableByteChannel out;
    private final ByteBuffer received = ByteBuffer.allocate(LARGEST);

    /** Connects both directions, which {@link #close} closes. */
    Link(ReadableByteChannel in, WritableByteChannel out) {
        this.in = in;
        this.out = out;
    }

    /**
     * Waits for the next frame, which is good until the next call.
     *
     * @return null if the other end is gone
     * @throws IOException if what came is no frame, or only a part of one
     */
    @Nullable
    Frame receive() throws IOException {
        received.clear().limit(HEADER);
        if (!fill()) {
            return null;
        }
        Kind kind = Kind.of(received.get(0));
        int length = received.getInt(1);
        if (length < 0 || length > LARGEST) {
            throw new IOException("no frame has " + length + " bytes");
        }
        received.clear().limit(length);
        if (!fill()) {
            throw new EOFException("the frame's payload is missing");
        }
        return new Frame(kind, received.flip());
    }

    /** Reads up to the limit; returns false if there was nothing at all. */
    private boolean fill() throws IOException {
        while (received.hasRemaining()) {
            if (in.read(received) < 0) {
                if (received.position() == 0) {
                    return false;
                }
                throw new EOFException("the link ended within a frame");
            }
        }
        return true;
    }

    /** Sends the bytes, in several frames if they are many. */
    void send(Kind kind, byte[] bytes, int offset, int length) throws IOException {
        int from = offset;
        do {
            int size = Math.min(LARGEST, offset + length - from);
            ByteBuffer frame = ByteBuffer.allocate(HEADER + size)
                    .put(kind.code)
                    .putInt(size)
                    .put(bytes, from, size)
                    .flip();
            synchronized (out) {
                while (frame.hasRemaining()) {
                    out.write(frame);
                }
            }
            from += size;
        } while (from < offset + length);
    }

    /** Sends a frame of integers. */
    void send(Kind kind, int... values) throws IOException {
        ByteBuffer payload = ByteBuffer.allocate(values.length * Integer.BYTES);
        for (int value : values) {
            payload.putInt(value);
        }
        send(kind, payload.array(), 0, payload.capacity());
    }

    @Override
    public void close() throws IOException {
        try (in;
                out) {
            received.clear();
        }
    }
}
