package io.thimble.vmm.boot;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * What a decoder gave, outside the Java heap, in pieces that are taken as they are needed: how much it will be is not known
 * before, and what a file says of it is not to be believed. Filled by one thread, then read by any.
 */
final class UnpackedBytes implements BootFile.Source {
    private static final int CHUNK = 4 << 20;
    private static final int BUFFER = 1 << 16;

    private final Arena arena = Arena.ofShared();
    private final List<MemorySegment> chunks = new ArrayList<>();
    private long size;

    /**
     * Reads a stream to its end.
     *
     * @param limit in bytes
     * @return whether the end came within the limit
     */
    boolean fill(InputStream in, long limit) throws IOException {
        byte[] buffer = new byte[BUFFER];
        while (true) {
            int count = in.read(buffer);
            if (count < 0) {
                return true;
            }
            if (count == 0) {
                throw new EOFException("the decoder makes no progress");
            }
            if (count > limit - size) {
                return false;
            }
            append(buffer, count);
        }
    }

    private void append(byte[] bytes, int length) {
        int done = 0;
        while (done < length) {
            int at = (int) (size % CHUNK);
            if (at == 0) {
                chunks.add(arena.allocate(CHUNK));
            }
            int part = Math.min(length - done, CHUNK - at);
            MemorySegment.copy(bytes, done, chunks.getLast(), ValueLayout.JAVA_BYTE, at, part);
            done += part;
            size += part;
        }
    }

    /** Returns how many bytes there are. */
    long size() {
        return size;
    }

    @Override
    public int read(ByteBuffer target, long position) {
        if (position >= size) {
            return -1;
        }
        int at = (int) (position % CHUNK);
        int part = (int) Math.min(Math.min(target.remaining(), CHUNK - at), size - position);
        target.put(chunks.get((int) (position / CHUNK)).asSlice(at, part).asByteBuffer());
        return part;
    }

    @Override
    public void close() {
        arena.close();
    }
}
