package io.thimble.memory;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;

/**
 * A guest-physical address space: one or more {@link MemoryRegion}s with holes between them, accessed in little endian
 * whatever the host's order.
 *
 * <p><b>Addresses and lengths are hostile.</b> Negative values count as large unsigned ones, sums do not overflow, and
 * whatever is not wholly inside guest memory throws {@link GuestMemoryException} before anything was read or written. An
 * access may cross from one region into an adjacent one; a length of 0 is allowed at any address.
 *
 * <p><b>Ordering.</b> The guest's CPUs are the other party. Plain access promises nothing about order and may be torn
 * when misaligned; {@code Acquire} and {@code Release} need natural aligned addresses and pair with the guest's own
 * barriers, as with {@link VarHandle}:
 *
 * <table>
 *   <caption>Who pairs with whom</caption>
 *   <tr><th>here</th><th>in the guest</th></tr>
 *   <tr><td>{@code getXxxAcquire}, then reads</td><td>writes, then {@code smp_store_release} / {@code virtio_wmb}</td></tr>
 *   <tr><td>writes, then {@code putXxxRelease}</td><td>{@code smp_load_acquire} / {@code virtio_rmb}, then reads</td></tr>
 * </table>
 *
 * A store followed by a load of another location needs {@link VarHandle#fullFence()} between them.
 *
 * <p><b>Threads.</b> Immutable but for the {@link DirtyBitmap}; every method may be called from any thread that may access
 * the segments. After the segments' arena is closed, access throws {@link IllegalStateException}. That protects accesses
 * through this class only: an address given out by {@code translate} does not keep the memory mapped.
 *
 * <p><b>Cost.</b> Access inside one region does not allocate, lock or box. There is no check before it: the segment's own
 * bounds check is the boundary, and what went wrong is found out after it has thrown.
 */
public final class GuestMemory {
    /** The size of a page in bytes: what regions are aligned to and what one dirty bit stands for. */
    public static final long PAGE_SIZE = 4096;

    static final int PAGE_SHIFT = 12;

    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle ALIGNED_SHORT =
            ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
    private static final VarHandle ALIGNED_INT =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
    private static final VarHandle ALIGNED_LONG =
            ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

    private final List<MemoryRegion> regions;
    private final MemoryRegion first;
    /** Where the second region starts; every address below it can only be in the first. */
    private final long secondStart;

    private final DirtyBitmap dirty;

    private GuestMemory(List<MemoryRegion> regions) {
        this.regions = regions;
        this.first = regions.get(0);
        this.secondStart = regions.size() > 1 ? regions.get(1).guestAddress() : Long.MAX_VALUE;
        this.dirty = new DirtyBitmap(regions);
    }

    /**
     * Creates an address space.
     *
     * @param regions at least one, in any order
     * @throws IllegalArgumentException if there is none or two overlap
     */
    public static GuestMemory of(List<MemoryRegion> regions) {
        List<MemoryRegion> sorted = regions.stream()
                .sorted(Comparator.comparingLong(MemoryRegion::guestAddress))
                .toList();
        if (sorted.isEmpty()) {
            throw new IllegalArgumentException("Guest memory needs at least one region");
        }
        for (int i = 1; i < sorted.size(); i++) {
            if (sorted.get(i - 1).endAddress() > sorted.get(i).guestAddress()) {
                throw new IllegalArgumentException("Regions overlap: " + sorted.get(i - 1) + " and " + sorted.get(i));
            }
        }
        return new GuestMemory(sorted);
    }

    /** As {@link #of(List)}. */
    public static GuestMemory of(MemoryRegion... regions) {
        return of(List.of(regions));
    }

    /** Returns the regions by ascending address; the list is immutable. */
    public List<MemoryRegion> regions() {
        return regions;
    }

    /** Returns the sum of the regions' sizes in bytes. */
    public long size() {
        return regions.stream().mapToLong(MemoryRegion::size).sum();
    }

    /** Returns the first guest-physical address behind the last region. */
    public long endAddress() {
        return regions.get(regions.size() - 1).endAddress();
    }

    /** Returns the record of the pages that the host has written. */
    public DirtyBitmap dirtyBitmap() {
        return dirty;
    }

    /**
     * Returns whether a range lies wholly in guest memory, without a hole. True for a length of 0.
     *
     * @param gpa the guest-physical address
     * @param length in bytes
     */
    public boolean contains(long gpa, long length) {
        MemoryRegion region = region(gpa);
        long offset = gpa - region.guestAddress();
        if (gpa >= 0 && offset >= 0 && length >= 0 && length <= region.size() - offset) {
            return true;
        }
        return length == 0 || containsAcross(gpa, length);
    }

    /** Reads a byte. */
    public byte getByte(long gpa) {
        MemoryRegion region = region(gpa);
        try {
            return region.segment().get(BYTE, gpa - region.guestAddress());
        } catch (IndexOutOfBoundsException e) {
            throw refused(gpa, 1, e);
        }
    }

    /** Reads 2 bytes. */
    public short getShort(long gpa) {
        MemoryRegion region = region(gpa);
        try {
            return region.segment().get(SHORT, gpa - region.guestAddress());
        } catch (IndexOutOfBoundsException e) {
            return (short) getAcross(gpa, Short.BYTES, e);
        }
    }

    /** Reads 4 bytes. */
    public int getInt(long gpa) {
        MemoryRegion region = region(gpa);
        try {
            return region.segment().get(INT, gpa - region.guestAddress());
        } catch (IndexOutOfBoundsException e) {
            return (int) getAcross(gpa, Integer.BYTES, e);
        }
    }

    /** Reads 8 bytes. */
    public long getLong(long gpa) {
        MemoryRegion region = region(gpa);
        try {
            return region.segment().get(LONG, gpa - region.guestAddress());
        } catch (IndexOutOfBoundsException e) {
            return getAcross(gpa, Long.BYTES, e);
        }
    }

    /** Reads 2 bytes, atomically and before every later access; the address must be a multiple of 2. */
    public short getShortAcquire(long gpa) {
        MemoryRegion region = region(gpa);
        try {
            return (short) ALIGNED_SHORT.getAcquire(region.segment(), gpa - region.guestAddress());
        } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(gpa, Short.BYTES, e);
        }
    }

    /** Reads 4 bytes, atomically and before every later access; the address must be a multiple of 4. */
    public int getIntAcquire(long gpa) {
        MemoryRegion region = region(gpa);
        try {
            return (int) ALIGNED_INT.getAcquire(region.segment(), gpa - region.guestAddress());
        } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(gpa, Integer.BYTES, e);
        }
    }

    /** Reads 8 bytes, atomically and before every later access; the address must be a multiple of 8. */
    public long getLongAcquire(long gpa) {
        MemoryRegion region = region(gpa);
        try {
            return (long) ALIGNED_LONG.getAcquire(region.segment(), gpa - region.guestAddress());
        } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(gpa, Long.BYTES, e);
        }
    }

    /** Writes a byte. */
    public void putByte(long gpa, byte value) {
        MemoryRegion region = region(gpa);
        try {
            region.segment().set(BYTE, gpa - region.guestAddress(), value);
        } catch (IndexOutOfBoundsException e) {
            throw refused(gpa, 1, e);
        }
        written(gpa, 1);
    }

    /** Writes 2 bytes. */
    public void putShort(long gpa, short value) {
        MemoryRegion region = region(gpa);
        try {
            region.segment().set(SHORT, gpa - region.guestAddress(), value);
        } catch (IndexOutOfBoundsException e) {
            putAcross(gpa, value, Short.BYTES, e);
        }
        written(gpa, Short.BYTES);
    }

    /** Writes 4 bytes. */
    public void putInt(long gpa, int value) {
        MemoryRegion region = region(gpa);
        try {
            region.segment().set(INT, gpa - region.guestAddress(), value);
        } catch (IndexOutOfBoundsException e) {
            putAcross(gpa, value, Integer.BYTES, e);
        }
        written(gpa, Integer.BYTES);
    }

    /** Writes 8 bytes. */
    public void putLong(long gpa, long value) {
        MemoryRegion region = region(gpa);
        try {
            region.segment().set(LONG, gpa - region.guestAddress(), value);
        } catch (IndexOutOfBoundsException e) {
            putAcross(gpa, value, Long.BYTES, e);
        }
        written(gpa, Long.BYTES);
    }

    /** Writes 2 bytes, atomically and after every earlier access; the address must be a multiple of 2. */
    public void putShortRelease(long gpa, short value) {
        MemoryRegion region = region(gpa);
        try {
            ALIGNED_SHORT.setRelease(region.segment(), gpa - region.guestAddress(), value);
        } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(gpa, Short.BYTES, e);
        }
        written(gpa, Short.BYTES);
    }

    /** Writes 4 bytes, atomically and after every earlier access; the address must be a multiple of 4. */
    public void putIntRelease(long gpa, int value) {
        MemoryRegion region = region(gpa);
        try {
            ALIGNED_INT.setRelease(region.segment(), gpa - region.guestAddress(), value);
        } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(gpa, Integer.BYTES, e);
        }
        written(gpa, Integer.BYTES);
    }

    /** Writes 8 bytes, atomically and after every earlier access; the address must be a multiple of 8. */
    public void putLongRelease(long gpa, long value) {
        MemoryRegion region = region(gpa);
        try {
            ALIGNED_LONG.setRelease(region.segment(), gpa - region.guestAddress(), value);
        } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(gpa, Long.BYTES, e);
        }
        written(gpa, Long.BYTES);
    }

    /**
     * Copies from guest memory.
     *
     * @throws IndexOutOfBoundsException if the array has no such range
     */
    public void read(long gpa, byte[] dst, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, dst.length);
        MemoryRegion region = region(gpa);
        try {
            MemorySegment.copy(region.segment(), BYTE, gpa - region.guestAddress(), dst, offset, length);
        } catch (IndexOutOfBoundsException e) {
            readAcross(gpa, MemorySegment.ofArray(dst), offset, length);
        }
    }

    /** Copies from guest memory, as many bytes as the segment has. */
    public void read(long gpa, MemorySegment dst) {
        read(gpa, dst, 0, dst.byteSize());
    }

    /**
     * Copies from guest memory into a part of a segment.
     *
     * @throws IndexOutOfBoundsException if the segment has no such range
     */
    public void read(long gpa, MemorySegment dst, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, dst.byteSize());
        MemoryRegion region = region(gpa);
        try {
            MemorySegment.copy(region.segment(), gpa - region.guestAddress(), dst, offset, length);
        } catch (IndexOutOfBoundsException e) {
            readAcross(gpa, dst, offset, length);
        }
    }

    /**
     * Copies into guest memory.
     *
     * @throws IndexOutOfBoundsException if the array has no such range
     */
    public void write(long gpa, byte[] src, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, src.length);
        MemoryRegion region = region(gpa);
        try {
            MemorySegment.copy(src, offset, region.segment(), BYTE, gpa - region.guestAddress(), length);
        } catch (IndexOutOfBoundsException e) {
            writeAcross(gpa, MemorySegment.ofArray(src), offset, length);
        }
        written(gpa, length);
    }

    /** Copies a whole segment into guest memory. */
    public void write(long gpa, MemorySegment src) {
        write(gpa, src, 0, src.byteSize());
    }

    /**
     * Copies a part of a segment into guest memory.
     *
     * @throws IndexOutOfBoundsException if the segment has no such range
     */
    public void write(long gpa, MemorySegment src, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, src.byteSize());
        MemoryRegion region = region(gpa);
        try {
            MemorySegment.copy(src, offset, region.segment(), gpa - region.guestAddress(), length);
        } catch (IndexOutOfBoundsException e) {
            writeAcross(gpa, src, offset, length);
        }
        written(gpa, length);
    }

    /** Sets every byte of a range to {@code value}. */
    public void fill(long gpa, long length, byte value) {
        requireRange(gpa, length);
        long done = 0;
        while (done < length) {
            MemoryRegion region = region(gpa + done);
            long offset = gpa + done - region.guestAddress();
            long part = Math.min(length - done, region.size() - offset);
            region.segment().asSlice(offset, part).fill(value);
            done += part;
        }
        written(gpa, length);
    }

    /**
     * Returns a view of a range for reading. It ends at no region's end: a range across two regions is refused.
     *
     * @return a read-only segment
     */
    public MemorySegment slice(long gpa, long length) {
        return sliceOf(gpa, length).asReadOnly();
    }

    /**
     * Returns a view of a range for writing and marks the range dirty. Writes after the bitmap was next drained need
     * {@link #markDirty} again.
     */
    public MemorySegment sliceForWriting(long gpa, long length) {
        MemorySegment slice = sliceOf(gpa, length);
        written(gpa, length);
        return slice;
    }

    /**
     * Hands over the host memory behind a range that will be read only.
     *
     * @param consumer called once for each region touched, in ascending order, after the whole range was checked
     * @return the number of calls; 0 for a length of 0
     */
    public int translate(long gpa, long length, SegmentConsumer consumer) {
        requireRange(gpa, length);
        int pieces = 0;
        long done = 0;
        while (done < length) {
            MemoryRegion region = region(gpa + done);
            long offset = gpa + done - region.guestAddress();
            long part = Math.min(length - done, region.size() - offset);
            consumer.accept(region.segment().address() + offset, part);
            done += part;
            pieces++;
        }
        return pieces;
    }

    /**
     * As {@link #translate(long, long, SegmentConsumer)} for a range that will be written; the range is marked dirty when
     * the consumer has returned, or has thrown. What is written later: see {@link DirtyBitmap}, rule 2.
     */
    public int translateForWriting(long gpa, long length, SegmentConsumer consumer) {
        requireRange(gpa, length);
        try {
            return translate(gpa, length, consumer);
        } finally {
            written(gpa, length);
        }
    }

    /** Returns what {@link #translate(long, long, SegmentConsumer)} hands over, as a list. */
    public List<HostSegment> translate(long gpa, long length) {
        List<HostSegment> pieces = new ArrayList<>(2);
        translate(gpa, length, (address, size) -> pieces.add(new HostSegment(address, size)));
        return pieces;
    }

    /** Returns what {@link #translateForWriting(long, long, SegmentConsumer)} hands over, as a list. */
    public List<HostSegment> translateForWriting(long gpa, long length) {
        List<HostSegment> pieces = translate(gpa, length);
        written(gpa, length);
        return pieces;
    }

    /** Marks a range as written by the host, for writes that do not go through this class. Cheap while tracking is off. */
    public void markDirty(long gpa, long length) {
        requireRange(gpa, length);
        written(gpa, length);
    }

    @Override
    public String toString() {
        return "GuestMemory" + regions + (dirty.isEnabled() ? " " + dirty : "");
    }

    /** Returns the only region that can hold the address; whether it does is for the segment's bounds check to say. */
    private MemoryRegion region(long gpa) {
        return gpa < secondStart ? first : regionAbove(gpa);
    }

    private MemoryRegion regionAbove(long gpa) {
        return regions.get(indexAbove(gpa));
    }

    private int indexAbove(long gpa) {
        int i = regions.size() - 1;
        while (i > 0 && gpa < regions.get(i).guestAddress()) {
            i--;
        }
        return i;
    }

    private MemorySegment sliceOf(long gpa, long length) {
        requireRange(gpa, length);
        if (length == 0) {
            return first.segment().asSlice(0, 0);
        }
        MemoryRegion region = region(gpa);
        long offset = gpa - region.guestAddress();
        if (length > region.size() - offset) {
            throw new GuestMemoryException("Range crosses from " + region + " into the next region", gpa, length);
        }
        return region.segment().asSlice(offset, length);
    }

    /** Called behind each write that has succeeded, so the range is known to be valid. */
    private void written(long gpa, long length) {
        if (dirty.isEnabled()) {
            markPieces(gpa, length);
        }
    }

    private void markPieces(long gpa, long length) {
        long done = 0;
        while (done < length) {
            int index = indexAbove(gpa + done);
            MemoryRegion region = regions.get(index);
            long offset = gpa + done - region.guestAddress();
            long part = Math.min(length - done, region.size() - offset);
            dirty.mark(index, offset, part);
            done += part;
        }
    }

    private long getAcross(long gpa, int size, RuntimeException cause) {
        if (!contains(gpa, size)) {
            throw refused(gpa, size, cause);
        }
        long value = 0;
        for (int i = 0; i < size; i++) {
            value |= (getByte(gpa + i) & 0xffL) << (8 * i);
        }
        return value;
    }

    private void putAcross(long gpa, long value, int size, RuntimeException cause) {
        if (!contains(gpa, size)) {
            throw refused(gpa, size, cause);
        }
        for (int i = 0; i < size; i++) {
            putByte(gpa + i, (byte) (value >>> (8 * i)));
        }
    }

    private void readAcross(long gpa, MemorySegment dst, long dstOffset, long length) {
        requireRange(gpa, length);
        long done = 0;
        while (done < length) {
            MemoryRegion region = region(gpa + done);
            long offset = gpa + done - region.guestAddress();
            long part = Math.min(length - done, region.size() - offset);
            MemorySegment.copy(region.segment(), offset, dst, dstOffset + done, part);
            done += part;
        }
    }

    private void writeAcross(long gpa, MemorySegment src, long srcOffset, long length) {
        requireRange(gpa, length);
        long done = 0;
        while (done < length) {
            MemoryRegion region = region(gpa + done);
            long offset = gpa + done - region.guestAddress();
            long part = Math.min(length - done, region.size() - offset);
            MemorySegment.copy(src, srcOffset + done, region.segment(), offset, part);
            done += part;
        }
    }

    private void requireRange(long gpa, long length) {
        if (!contains(gpa, length)) {
            throw new GuestMemoryException("Not in guest memory", gpa, length);
        }
    }

    private boolean containsAcross(long gpa, long length) {
        if (gpa < 0 || length < 0 || length > Long.MAX_VALUE - gpa) {
            return false;
        }
        long end = gpa + length;
        long at = gpa;
        for (int i = indexAbove(gpa); i < regions.size() && at < end; i++) {
            MemoryRegion region = regions.get(i);
            if (at < region.guestAddress() || at >= region.endAddress()) {
                return false;
            }
            at = region.endAddress();
        }
        return at >= end;
    }

    private GuestMemoryException refused(long gpa, long length, RuntimeException cause) {
        boolean misaligned = (gpa & (length - 1)) != 0 && cause instanceof IllegalArgumentException;
        GuestMemoryException e =
                new GuestMemoryException(misaligned ? "Misaligned" : "Not in guest memory", gpa, length);
        e.initCause(cause);
        return e;
    }
}
