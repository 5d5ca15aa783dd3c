package io.thimble.memory;

/** Receives runs of dirty pages from {@link DirtyBitmap#drainTo}. */
@FunctionalInterface
public interface DirtyRangeConsumer {
    /**
     * Takes one run of dirty pages, all in one region.
     *
     * @param guestAddress the first page's guest-physical address
     * @param length the run's length in bytes, a multiple of {@link GuestMemory#PAGE_SIZE}
     */
    void accept(long guestAddress, long length);
}
