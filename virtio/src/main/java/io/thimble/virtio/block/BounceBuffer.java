package io.thimble.virtio.block;

import io.thimble.linux.Mman;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The one buffer through which direct I/O goes whose guest memory is not aligned as the host needs it. One request at a
 * time has it; the others wait in line. The loop's only.
 */
final class BounceBuffer {
    static final int SIZE = 1 << 20;

    private final Arena arena;
    private final IdQueue waiting;
    private @Nullable MemorySegment memory;
    private boolean taken;

    BounceBuffer(Arena arena, int capacity) {
        this.arena = arena;
        this.waiting = new IdQueue(capacity);
    }

    /** Takes the buffer; otherwise {@code id} comes out of {@link #release} later. */
    boolean take(int id) {
        if (taken) {
            waiting.add(id);
            return false;
        }
        taken = true;
        return true;
    }

    MemorySegment memory() {
        MemorySegment now = memory;
        if (now == null) {
            now = Mman.anonymous(arena, SIZE);
            memory = now;
        }
        return now;
    }

    /** Gives the buffer back; returns who has it now, or -1. */
    int release() {
        if (waiting.isEmpty()) {
            taken = false;
            return -1;
        }
        return waiting.remove();
    }
}
