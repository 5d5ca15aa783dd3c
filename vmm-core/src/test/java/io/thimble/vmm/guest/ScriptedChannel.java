package io.thimble.vmm.guest;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.nio.charset.StandardCharsets;

/** A connection whose guest says what a test has written down, and then ends it. What the host says is kept. */
public final class ScriptedChannel implements ByteChannel {
    private final ByteArrayOutputStream script = new ByteArrayOutputStream();
    private final ByteArrayOutputStream said = new ByteArrayOutputStream();
    private int at;
    private boolean closed;

    /** Adds a frame of the guest's. */
    public ScriptedChannel frame(int type, byte... payload) {
        return raw(ByteBuffer.allocate(4)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt(payload.length | type << 24)
                        .array())
                .raw(payload);
    }

    /** Adds an entry of a copy. */
    public ScriptedChannel entry(int type, int mode, String text) {
        byte[] name = text.getBytes(StandardCharsets.UTF_8);
        return frame(
                type,
                ByteBuffer.allocate(16 + name.length)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putShort((short) mode)
                        .putShort((short) 0)
                        .putInt(5)
                        .putLong(1_000_000_000)
                        .put(name)
                        .array());
    }

    /** Adds bytes of the guest's. */
    public ScriptedChannel raw(byte[] bytes) {
        script.writeBytes(bytes);
        return this;
    }

    /** Returns what the host has said. */
    synchronized byte[] said() {
        return said.toByteArray();
    }

    @Override
    public synchronized int read(ByteBuffer target) throws ClosedChannelException {
        if (closed) {
            throw new ClosedChannelException();
        }
        byte[] bytes = script.toByteArray();
        if (at == bytes.length) {
            return -1;
        }
        int length = Math.min(target.remaining(), bytes.length - at);
        target.put(bytes, at, length);
        at += length;
        return length;
    }

    @Override
    public synchronized int write(ByteBuffer source) throws ClosedChannelException {
        if (closed) {
            throw new ClosedChannelException();
        }
        byte[] bytes = new byte[source.remaining()];
        source.get(bytes);
        said.writeBytes(bytes);
        return bytes.length;
    }

    @Override
    public synchronized boolean isOpen() {
        return !closed;
    }

    @Override
    public synchronized void close() {
        closed = true;
    }
}
