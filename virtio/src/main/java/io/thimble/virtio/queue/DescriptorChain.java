package io.thimble.virtio.queue;

import io.thimble.memory.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * One buffer of a virtqueue: pieces of guest memory, first those that the device reads, then those that it writes (virtio
 * 1.2, section 2.6.4.2). Where one piece ends and the next begins means nothing (section 2.6.4.1): offsets count through
 * all readable, or all writable, bytes.
 *
 * <p>A copy of what the driver wrote: every piece is known to lie in guest memory, and the driver can change its content
 * but not its place. Made once for each buffer that is in use at a time, and filled again by {@link Virtqueue#pop}. Not
 * thread-safe.
 */
public final class DescriptorChain {
    private static final long MAX_TOTAL = 0xffff_ffffL; // section 2.7.5.1: 2^32 bytes in total; used.len has 32 bits
    private static final int FIRST_PIECES = 8;

    private final GuestMemory memory;
    private long[] addresses = new long[FIRST_PIECES];
    private int[] lengths = new int[FIRST_PIECES];
    private int count;
    private int readableCount;
    private long readableLength;
    private long writableLength;
    private int id;
    private int ringEntries;

    /**
     * Makes an empty chain.
     *
     * @param memory in which the pieces lie
     */
    public DescriptorChain(GuestMemory memory) {
        this.memory = memory;
    }

    /** Empties the chain, for a queue to fill it. */
    void clear() {
        count = 0;
        readableCount = 0;
        readableLength = 0;
        writableLength = 0;
        ringEntries = 0;
    }

    /**
     * Adds a piece.
     *
     * @param length in bytes, unsigned
     * @throws VirtqueueException if the piece is empty or not in guest memory, if it is readable and follows a writable one,
     *     or if the whole is larger than 4 GiB - 1
     */
    void add(long address, int length, boolean writable) {
        long bytes = Integer.toUnsignedLong(length);
        if (bytes == 0) {
            throw new VirtqueueException("a descriptor of length 0");
        }
        if (!memory.contains(address, bytes)) {
            throw new VirtqueueException(
                    "a descriptor outside guest memory: 0x" + Long.toHexString(address) + ", " + bytes + " bytes");
        }
        if (!writable && readableCount < count) {
            throw new VirtqueueException("a device-readable descriptor behind a device-writable one");
        }
        if (readableLength + writableLength + bytes > MAX_TOTAL) {
            throw new VirtqueueException("a buffer of more than 4 GiB");
        }
        if (count == addresses.length) {
            addresses = Arrays.copyOf(addresses, 2 * count);
            lengths = Arrays.copyOf(lengths, 2 * count);
        }
        addresses[count] = address;
        lengths[count] = length;
        count++;
        if (writable) {
            writableLength += bytes;
        } else {
            readableCount = count;
            readableLength += bytes;
        }
    }

    void identify(int newId, int newRingEntries) {
        id = newId;
        ringEntries = newRingEntries;
    }

    /** Returns the driver's name for this buffer. */
    public int id() {
        return id;
    }

    /** Returns how many entries of the descriptor ring it takes: what a packed queue skips when it returns the buffer. */
    int ringEntries() {
        return ringEntries;
    }

    /** Returns the number of pieces. */
    public int count() {
        return count;
    }

    /** Returns how many of them, the first ones, are for the device to read. */
    public int readableCount() {
        return readableCount;
    }

    /** Returns the guest-physical address of a piece. */
    public long address(int piece) {
        return addresses[piece];
    }

    /** Returns the length of a piece in bytes, 1 to 2^32 - 1. */
    public long length(int piece) {
        return Integer.toUnsignedLong(lengths[piece]);
    }

    /** Returns how many bytes there are to read. */
    public long readableLength() {
        return readableLength;
    }

    /** Returns how many bytes there are to write. */
    public long writableLength() {
        return writableLength;
    }

    /** Returns the memory in which the pieces lie. */
    public GuestMemory memory() {
        return memory;
    }

    /**
     * Copies from the readable bytes.
     *
     * @param offset of the first byte among the readable ones
     * @return how many bytes were copied: {@code length}, or fewer where the readable bytes end
     */
    public int read(long offset, byte[] dst, int dstOffset, int length) {
        return (int) read(offset, MemorySegment.ofArray(dst), dstOffset, length);
    }

    /** As {@link #read(long, byte[], int, int)}. */
    public long read(long offset, MemorySegment dst, long dstOffset, long length) {
        long done = 0;
        long skip = offset;
        for (int i = 0; i < readableCount && done < length; i++) {
            long size = length(i);
            if (skip >= size) {
                skip -= size;
                continue;
            }
            long part = Math.min(size - skip, length - done);
            memory.read(addresses[i] + skip, dst, dstOffset + done, part);
            done += part;
            skip = 0;
        }
        return done;
    }

    /**
     * Copies into the writable bytes.
     *
     * @param offset of the first byte among the writable ones
     * @return how many bytes were copied: {@code length}, or fewer where the writable bytes end
     */
    public int write(long offset, byte[] src, int srcOffset, int length) {
        return (int) write(offset, MemorySegment.ofArray(src), srcOffset, length);
    }

    /** As {@link #write(long, byte[], int, int)}. */
    public long write(long offset, MemorySegment src, long srcOffset, long length) {
        long done = 0;
        long skip = offset;
        for (int i = readableCount; i < count && done < length; i++) {
            long size = length(i);
            if (skip >= size) {
                skip -= size;
                continue;
            }
            long part = Math.min(size - skip, length - done);
            memory.write(addresses[i] + skip, src, srcOffset + done, part);
            done += part;
            skip = 0;
        }
        return done;
    }

    /** Writes one byte at an offset among the writable ones; nothing if there is no such byte. */
    public void writeByte(long offset, byte value) {
        long skip = offset;
        for (int i = readableCount; i < count; i++) {
            long size = length(i);
            if (skip < size) {
                memory.putByte(addresses[i] + skip, value);
                return;
            }
            skip -= size;
        }
    }

    @Override
    public String toString() {
        return "DescriptorChain[id " + id + ", " + readableCount + " pieces to read: " + readableLength + " bytes, "
                + (count - readableCount) + " to write: " + writableLength + " bytes]";
    }
}
