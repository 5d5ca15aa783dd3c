package io.thimble.memory;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which 4 KiB pages of a {@link GuestMemory} the host has written: one bit a page. KVM's own dirty log does not see what
 * the VMM writes, so a snapshot needs both. Off until {@link #enable()}; while off, a write costs one load and one
 * branch, and there is no bitmap in memory.
 *
 * <p>Every method may be called from any thread. What pairs with what:
 *
 * <ol>
 *   <li>A writer stores the data first and marks the page afterwards, by an atomic operation with the effect of a full
 *       fence. A drain clears the bit first and the caller reads the page afterwards. So either the reader sees the data,
 *       or the page is dirty in the next drain.
 *   <li>Memory that the kernel writes later (an address handed to readv or io_uring) is marked when it is translated.
 *       Whoever drains while such I/O is under way must have it marked again at its completion
 *       ({@link GuestMemory#markDirty}); a paused VM has none under way.
 *   <li>A write that races with {@link #enable()} may be missed: enable first, then let the kernel's log start, then copy.
 * </ol>
 */
public final class DirtyBitmap {
    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
    private static final VarHandle BITS;

    static {
        try {
            BITS = MethodHandles.lookup().findVarHandle(DirtyBitmap.class, "bits", Bits.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    /** The bitmap's words by region; word w, bit b stands for page 64w + b of the region. */
    private record Bits(List<long[]> wordsOfRegion) {}

    private final List<MemoryRegion> regions;

    @SuppressWarnings("UnusedVariable") // accessed through BITS
    private @Nullable Bits bits;

    DirtyBitmap(List<MemoryRegion> regions) {
        this.regions = regions;
    }

    /** Starts to track, with every page clean. Does nothing when on already. */
    public void enable() {
        Bits fresh = new Bits(regions.stream().map(DirtyBitmap::newWords).toList());
        BITS.compareAndSet(this, null, fresh);
    }

    /** Stops to track and forgets what was dirty. Does nothing when off already. */
    public void disable() {
        BITS.setVolatile(this, null);
    }

    /** Returns whether writes are tracked. */
    public boolean isEnabled() {
        return BITS.getOpaque(this) != null;
    }

    /**
     * Returns whether the page that holds an address is dirty; false when tracking is off or no region has the address.
     *
     * @param guestAddress any guest-physical address
     */
    public boolean isDirty(long guestAddress) {
        Bits current = current();
        if (current == null) {
            return false;
        }
        for (int i = 0; i < regions.size(); i++) {
            MemoryRegion region = regions.get(i);
            if (guestAddress >= region.guestAddress() && guestAddress < region.endAddress()) {
                long page = (guestAddress - region.guestAddress()) >>> GuestMemory.PAGE_SHIFT;
                long word = (long) WORD.getVolatile(current.wordsOfRegion.get(i), (int) (page >>> 6));
                return (word >>> page & 1) != 0;
            }
        }
        return false;
    }

    /** Returns the number of dirty pages; 0 when tracking is off. Not a snapshot when others write at the same time. */
    public long dirtyPages() {
        Bits current = current();
        long count = 0;
        if (current != null) {
            for (long[] words : current.wordsOfRegion) {
                for (int i = 0; i < words.length; i++) {
                    count += Long.bitCount((long) WORD.getVolatile(words, i));
                }
            }
        }
        return count;
    }

    /**
     * Hands over the dirty pages as runs in ascending order and makes them clean. Bits are cleared 64 pages at a time,
     * each before its run is handed over; pages marked meanwhile come in this drain or in the next.
     *
     * @param consumer called on this thread; if it throws, runs already cleared but not yet
     *     handed over are lost, so the snapshot has failed
     * @return the number of pages handed over; 0 when tracking is off
     */
    public long drainTo(DirtyRangeConsumer consumer) {
        Bits current = current();
        long pages = 0;
        if (current != null) {
            for (int i = 0; i < regions.size(); i++) {
                pages += drainWords(regions.get(i).guestAddress(), current.wordsOfRegion.get(i), consumer);
            }
        }
        return pages;
    }

    /**
     * Returns one region's bits in the layout of KVM_GET_DIRTY_LOG (bit b of word w: page 64w + b) and makes them clean.
     *
     * @param regionIndex the region's index in {@link GuestMemory#regions()}
     * @throws IllegalStateException if tracking is off
     */
    public long[] snapshotAndClear(int regionIndex) {
        Bits current = current();
        if (current == null) {
            throw new IllegalStateException("The dirty bitmap is off: call enable() first");
        }
        long[] words = current.wordsOfRegion.get(regionIndex);
        long[] copy = new long[words.length];
        for (int i = 0; i < words.length; i++) {
            copy[i] = (long) WORD.getAndSet(words, i, 0L);
        }
        return copy;
    }

    /**
     * Marks the pages of a range that lies in one region.
     *
     * @param regionIndex the region's index
     * @param offset the range's first byte, from the region's start
     * @param length at least 1; the caller has checked that the range lies in the region
     */
    void mark(int regionIndex, long offset, long length) {
        Bits current = current();
        if (current == null) {
            return;
        }
        long[] words = current.wordsOfRegion.get(regionIndex);
        long firstPage = offset >>> GuestMemory.PAGE_SHIFT;
        long lastPage = (offset + length - 1) >>> GuestMemory.PAGE_SHIFT;
        int firstWord = (int) (firstPage >>> 6);
        int lastWord = (int) (lastPage >>> 6);
        long firstMask = -1L << firstPage; // shift distances count modulo 64
        long lastMask = -1L >>> (63 - (lastPage & 63));
        if (firstWord == lastWord) {
            or(words, firstWord, firstMask & lastMask);
            return;
        }
        or(words, firstWord, firstMask);
        for (int i = firstWord + 1; i < lastWord; i++) {
            or(words, i, -1L);
        }
        or(words, lastWord, lastMask);
    }

    @Override
    public String toString() {
        return isEnabled() ? "DirtyBitmap[" + dirtyPages() + " dirty]" : "DirtyBitmap[off]";
    }

    private @Nullable Bits current() {
        return (Bits) BITS.getAcquire(this);
    }

    // Always the atomic operation, even where the bit seems to be set: testing first would let the test overtake the
    // data.
    private static void or(long[] words, int index, long mask) {
        WORD.getAndBitwiseOr(words, index, mask);
    }

    private static long[] newWords(MemoryRegion region) {
        long pages = region.size() >>> GuestMemory.PAGE_SHIFT;
        return new long[Math.toIntExact((pages + 63) >>> 6)];
    }

    private static long drainWords(long guestAddress, long[] words, DirtyRangeConsumer consumer) {
        long total = 0;
        long runStart = 0;
        long runLength = 0;
        for (int i = 0; i < words.length; i++) {
            long word = (long) WORD.getAndSet(words, i, 0L);
            while (word != 0) {
                int skip = Long.numberOfTrailingZeros(word);
                long start = ((long) i << 6) + skip;
                int ones = Long.numberOfTrailingZeros(~(word >>> skip));
                word = skip + ones == 64 ? 0 : word & (-1L << (skip + ones));
                if (runLength != 0 && start == runStart + runLength) {
                    runLength += ones;
                } else {
                    emit(guestAddress, runStart, runLength, consumer);
                    runStart = start;
                    runLength = ones;
                }
                total += ones;
            }
        }
        emit(guestAddress, runStart, runLength, consumer);
        return total;
    }

    private static void emit(long guestAddress, long page, long pages, DirtyRangeConsumer consumer) {
        if (pages != 0) {
            consumer.accept(guestAddress + (page << GuestMemory.PAGE_SHIFT), pages << GuestMemory.PAGE_SHIFT);
        }
    }
}
