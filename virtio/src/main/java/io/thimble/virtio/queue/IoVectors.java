package io.thimble.virtio.queue;

import io.thimble.memory.GuestMemory;
import io.thimble.memory.SegmentConsumer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A {@code struct iovec} array (readv(2)) that points into guest memory, so that the kernel moves data between a file and
 * the guest without a copy. Its memory is the caller's and is filled again for each use.
 *
 * <pre>{@code
 * struct iovec { void *iov_base; size_t iov_len; };
 * }</pre>
 *
 * <p>The addresses keep nothing mapped: whoever passes them to the kernel makes sure that guest memory outlives the call.
 */
public final class IoVectors {
    /** The size of {@code struct iovec}. */
    public static final int SIZEOF = 16;

    /** The most that one system call takes (limits.h). */
    public static final int IOV_MAX = 1024;

    private static final int OFFSETOF_LEN = 8;

    private final GuestMemory memory;
    private final MemorySegment array;
    private final int capacity;
    private final SegmentConsumer append = this::append;
    private int count;
    private long bytes;

    /**
     * Uses {@code array}, aligned to 8 bytes, for at most {@code array.byteSize() / 16} vectors.
     *
     * @param memory into which they point
     */
    public IoVectors(GuestMemory memory, MemorySegment array) {
        this.memory = memory;
        this.array = array;
        this.capacity = (int) Math.min(IOV_MAX, array.byteSize() / SIZEOF);
    }

    /** Removes all vectors. */
    public void clear() {
        count = 0;
        bytes = 0;
    }

    /**
     * Adds host memory that is not the guest's, such as a header.
     *
     * @return false if there is no room left
     */
    public boolean addHost(MemorySegment segment) {
        if (count == capacity) {
            return false;
        }
        append(segment.address(), segment.byteSize());
        return true;
    }

    /**
     * Adds a part of the bytes of {@code chain} that the device reads.
     *
     * @param offset of the first byte among the readable ones
     * @param length at most so many bytes
     * @return how many bytes were added: fewer than asked for where the readable bytes, or the room here, ends
     */
    public long addReadable(DescriptorChain chain, long offset, long length) {
        return add(chain, 0, chain.readableCount(), offset, length, false);
    }

    /** As {@link #addReadable}, for the bytes that the device writes; they are marked dirty. */
    public long addWritable(DescriptorChain chain, long offset, long length) {
        return add(chain, chain.readableCount(), chain.count(), offset, length, true);
    }

    private long add(DescriptorChain chain, int from, int to, long offset, long length, boolean forWriting) {
        long done = 0;
        long skip = offset;
        for (int i = from; i < to && done < length; i++) {
            long size = chain.length(i);
            if (skip >= size) {
                skip -= size;
                continue;
            }
            // A piece may lie across two regions, and each takes a vector.
            if (capacity - count < memory.regions().size()) {
                break;
            }
            long part = Math.min(size - skip, length - done);
            long address = chain.address(i) + skip;
            if (forWriting) {
                memory.translateForWriting(address, part, append);
            } else {
                memory.translate(address, part, append);
            }
            done += part;
            skip = 0;
        }
        return done;
    }

    private void append(long address, long length) {
        array.set(ValueLayout.JAVA_LONG, (long) count * SIZEOF, address);
        array.set(ValueLayout.JAVA_LONG, (long) count * SIZEOF + OFFSETOF_LEN, length);
        count++;
        bytes += length;
    }

    /** Returns the address of the array. */
    public long address() {
        return array.address();
    }

    /** Returns the address that vector {@code i} holds. */
    public long address(int i) {
        return array.get(ValueLayout.JAVA_LONG, (long) i * SIZEOF);
    }

    /** Returns the length of vector {@code i} in bytes. */
    public long length(int i) {
        return array.get(ValueLayout.JAVA_LONG, (long) i * SIZEOF + OFFSETOF_LEN);
    }

    /** Returns how many vectors there are. */
    public int count() {
        return count;
    }

    /** Returns how many bytes they describe. */
    public long bytes() {
        return bytes;
    }
}
