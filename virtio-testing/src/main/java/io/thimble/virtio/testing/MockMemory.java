package io.thimble.virtio.testing;

import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;
import java.lang.foreign.Arena;

/**
 * Guest memory for tests, and a simple way to have places in it: each is given out once.
 *
 * <p>Not thread-safe.
 */
public final class MockMemory {
    private final GuestMemory memory;
    private final long end;
    private long next = GuestMemory.PAGE_SIZE;

    /**
     * Makes memory from address 0 on, in an automatic arena.
     *
     * @param size in bytes, a multiple of the page size
     */
    public MockMemory(long size) {
        this(GuestMemory.of(new MemoryRegion(0, Arena.ofAuto().allocate(size, GuestMemory.PAGE_SIZE))));
    }

    /** Uses memory that has a region from address 0 on: places come from that one. */
    public MockMemory(GuestMemory memory) {
        this.memory = memory;
        this.end = memory.regions().getFirst().endAddress();
    }

    /** Returns the memory. */
    public GuestMemory memory() {
        return memory;
    }

    /**
     * Returns the address of a place that nobody has yet, cleared: a device may have written there, into a buffer that was longer
     * than its place.
     *
     * @param length in bytes
     * @param alignment a power of 2
     * @throws IllegalStateException if nothing is left
     */
    public long allocate(long length, long alignment) {
        long at = (next + alignment - 1) & -alignment;
        if (length > end - at) {
            throw new IllegalStateException("no " + length + " bytes left of " + end);
        }
        next = at + length;
        memory.fill(at, length, (byte) 0);
        return at;
    }

    /** Returns the address of a new place with these bytes in it. */
    public long allocate(byte[] content) {
        long at = allocate(Math.max(1, content.length), 16);
        memory.write(at, content, 0, content.length);
        return at;
    }

    /** Returns the bytes at an address. */
    public byte[] bytes(long address, int length) {
        byte[] content = new byte[length];
        memory.read(address, content, 0, length);
        return content;
    }
}
