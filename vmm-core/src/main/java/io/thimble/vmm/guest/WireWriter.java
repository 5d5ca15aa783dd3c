package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.locks.ReentrantLock;

/** Puts frames on a connection. Thread-safe: a frame goes out whole. */
final class WireWriter {
    private static final int SMALL = 512;

    private final WritableByteChannel channel;
    private final ReentrantLock lock = new ReentrantLock();
    private ByteBuffer buffer = allocate(SMALL); // guarded by lock; grows once, for whoever sends data

    WireWriter(WritableByteChannel channel) {
        this.channel = channel;
    }

    private static ByteBuffer allocate(int payload) {
        return ByteBuffer.allocate(HEADER + payload).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Sends a frame with a payload of at most 65536 bytes. */
    void send(int type, byte[] payload, int offset, int length) throws IOException {
        lock.lock();
        try {
            begin(length).put(payload, offset, length);
            finish(type);
        } finally {
            lock.unlock();
        }
    }

    void send(int type, byte[] payload) throws IOException {
        send(type, payload, 0, payload.length);
    }

    void send(int type) throws IOException {
        send(type, new byte[0], 0, 0);
    }

    /** Sends a frame whose payload is what {@code source} has remaining. */
    void send(int type, ByteBuffer source) throws IOException {
        lock.lock();
        try {
            begin(source.remaining()).put(source);
            finish(type);
        } finally {
            lock.unlock();
        }
    }

    /** Sends bytes of any number in as many frames of one type as they need. */
    void sendAll(int type, byte[] bytes) throws IOException {
        for (int at = 0; at < bytes.length; at += MAX_PAYLOAD) {
            send(type, bytes, at, Math.min(MAX_PAYLOAD, bytes.length - at));
        }
    }

    /** Sends OPEN, which begins every connection. */
    void open(int operation) throws IOException {
        send(
                OPEN,
                allocate(4)
                        .putInt(MAGIC)
                        .putShort((short) VERSION)
                        .putShort((short) operation)
                        .flip());
    }

    private ByteBuffer begin(int length) {
        if (length > MAX_PAYLOAD) {
            throw new IllegalArgumentException("payload of " + length + " bytes");
        }
        if (length > buffer.capacity() - HEADER) {
            buffer = allocate(MAX_PAYLOAD);
        }
        return buffer.clear().position(HEADER);
    }

    private void finish(int type) throws IOException {
        buffer.flip();
        buffer.putInt(0, buffer.limit() - HEADER | type << 24);
        try {
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
        } catch (IOException e) {
            if (buffer.position() > 0) {
                channel.close(); // half a frame: nothing sensible can follow
            }
            throw e;
        }
    }
}
