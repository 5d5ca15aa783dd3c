package io.thimble.virtio.net;

import io.thimble.linux.Mman;
import io.thimble.virtio.queue.IoVectors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Host memory for one frame: for a frame that comes while the driver has too few buffers to be sure that it fits, and for the
 * end of one that is too long. No memory is used before the first such frame.
 */
final class BounceBuffer implements ReceiveBuffers {
    static final int SIZE = 1 << 17;

    private final MemorySegment memory;
    private final MemorySegment vector;
    private long length;

    BounceBuffer(Arena arena) {
        this.memory = Mman.anonymous(arena, SIZE);
        this.vector = arena.allocate(IoVectors.SIZEOF, Long.BYTES);
        vector.set(ValueLayout.JAVA_LONG, 0, memory.address());
        vector.set(ValueLayout.JAVA_LONG, Long.BYTES, SIZE);
    }

    /** Returns the memory. */
    MemorySegment memory() {
        return memory;
    }

    /** Returns how many bytes of a frame wait here; 0 for none. */
    long length() {
        return length;
    }

    void hold(long bytes) {
        length = bytes;
    }

    @Override
    public long vectors() {
        return vector.address();
    }

    @Override
    public int vectorCount() {
        return 1;
    }

    @Override
    public long capacity() {
        return SIZE;
    }

    @Override
    public void write(long offset, MemorySegment src, long srcOffset, long bytes) {
        long part = Math.min(bytes, SIZE - offset);
        if (part > 0) {
            MemorySegment.copy(src, srcOffset, memory, offset, part);
        }
    }
}
