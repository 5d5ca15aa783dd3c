package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.StandardCharsets;

/**
 * Takes the frames off a connection that a hostile guest writes to. Its memory is one frame.
 *
 * <p>Not thread-safe.
 */
public final class WireReader {
    private final ReadableByteChannel channel;
    private final ByteBuffer buffer = ByteBuffer.allocate(HEADER + MAX_PAYLOAD)
            .order(ByteOrder.LITTLE_ENDIAN)
            .limit(0);
    private int type;
    private ByteBuffer payload = ByteBuffer.allocate(0);

    /** Reads from {@code channel}, which blocks. */
    public WireReader(ReadableByteChannel channel) {
        this.channel = channel;
    }

    /**
     * Waits for the next frame.
     *
     * @return whether there is one; false when the guest has ended the connection between two frames
     * @throws GuestException if the guest announces a longer one than there may be
     * @throws EOFException if the connection ends inside a frame
     */
    public boolean next() throws IOException {
        if (!require(HEADER)) {
            return false;
        }
        int header = buffer.getInt(buffer.position());
        int length = header & 0xFFFFFF;
        if (length > MAX_PAYLOAD) {
            throw new GuestException(Problem.PROTOCOL, "the guest agent announces a frame of " + length + " bytes");
        }
        if (!require(HEADER + length)) {
            throw new EOFException("the connection ended inside a frame");
        }
        type = header >>> 24;
        int at = buffer.position() + HEADER;
        payload = buffer.slice(at, length).order(ByteOrder.LITTLE_ENDIAN);
        buffer.position(at + length);
        return true;
    }

    /** Returns the type of the frame, 0 to 255, known or not. */
    public int type() {
        return type;
    }

    /** Returns the frame's payload, 0 to 65536 bytes, from position 0; valid until the next call of {@link #next}. */
    public ByteBuffer payload() {
        return payload;
    }

    private boolean require(int bytes) throws IOException {
        if (buffer.remaining() >= bytes) {
            return true;
        }
        buffer.compact();
        try {
            while (buffer.position() < bytes) {
                if (channel.read(buffer) < 0) {
                    if (buffer.position() > 0) {
                        throw new EOFException("the connection ended inside a frame");
                    }
                    return false;
                }
            }
        } finally {
            buffer.flip();
        }
        return true;
    }

    /** Returns what an ERROR frame says. */
    GuestException error() {
        ByteBuffer frame = payload.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        if (frame.remaining() < 4) {
            return new GuestException(Problem.PROTOCOL, "the guest agent sends an error that says nothing");
        }
        Problem problem = switch (Short.toUnsignedInt(frame.getShort())) {
            case 3 -> Problem.NOT_FOUND;
            case 4 -> Problem.CANNOT_RUN;
            case 5 -> Problem.FILE;
            case 6 -> Problem.RESOURCES;
            default -> Problem.PROTOCOL;
        };
        int errno = Short.toUnsignedInt(frame.getShort());
        byte[] text = new byte[Math.min(frame.remaining(), GuestText.MAX)];
        frame.get(text);
        return new GuestException(
                problem, errno, "guest: " + GuestText.printable(new String(text, StandardCharsets.UTF_8)));
    }

    /** Says that the frame makes no sense where it is. */
    GuestException unexpected() {
        return new GuestException(
                Problem.PROTOCOL,
                "the guest agent breaks the rules: frame " + Integer.toHexString(type) + " of " + payload.capacity()
                        + " bytes");
    }
}
