package io.thimble.memory;

import java.lang.foreign.MemorySegment;

/**
 * A piece of guest-physical memory: the host's {@code segment}, seen by the guest from {@code guestAddress} on.
 *
 * <p>The segment is the caller's: it says when the memory is unmapped, and accesses after that throw
 * {@link IllegalStateException}. It must be accessible from every thread that uses the memory.
 *
 * @param guestAddress the first guest-physical address; a multiple of {@link GuestMemory#PAGE_SIZE}, below 2^52
 * @param segment native, writable, its address and size multiples of {@link GuestMemory#PAGE_SIZE}, not empty
 */
public record MemoryRegion(long guestAddress, MemorySegment segment) {
    private static final long PHYSICAL_ADDRESS_LIMIT = 1L << 52;

    /**
     * Checks what the components require.
     *
     * @throws IllegalArgumentException if one of the conditions above does not hold
     */
    public MemoryRegion {
        long size = segment.byteSize();
        if (guestAddress < 0
                || guestAddress >= PHYSICAL_ADDRESS_LIMIT
                || size > PHYSICAL_ADDRESS_LIMIT - guestAddress) {
            throw new IllegalArgumentException("A region must lie below 2^52: address 0x"
                    + Long.toHexString(guestAddress) + ", size 0x" + Long.toHexString(size));
        }
        if (size == 0 || !isPageAligned(size) || !isPageAligned(guestAddress)) {
            throw new IllegalArgumentException("A region must start and end on a page: address 0x"
                    + Long.toHexString(guestAddress) + ", size 0x" + Long.toHexString(size));
        }
        if (!segment.isNative() || segment.isReadOnly() || !isPageAligned(segment.address())) {
            throw new IllegalArgumentException("A region needs a native, writable, page-aligned segment: " + segment);
        }
    }

    /** Returns the region's size in bytes. */
    public long size() {
        return segment.byteSize();
    }

    /** Returns the first guest-physical address behind the region. */
    public long endAddress() {
        return guestAddress + segment.byteSize();
    }

    @Override
    public String toString() {
        return "0x" + Long.toHexString(guestAddress) + "-0x" + Long.toHexString(endAddress());
    }

    private static boolean isPageAligned(long value) {
        return (value & (GuestMemory.PAGE_SIZE - 1)) == 0;
    }
}
