package io.thimble.virtio.net;

import io.thimble.memory.GuestMemory;
import io.thimble.memory.SegmentConsumer;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.IoVectors;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The driver's next receive buffers: popped, translated into vectors once, and not yet used. A frame takes as many as it needs
 * from the front and leaves the others for the next one.
 *
 * <p>The vectors in use stand together in an array twice as large, and move to its start when they reach its end: they need
 * be written only once each.
 */
final class BufferWindow implements ReceiveBuffers {
    private static final int MOST_VECTORS = IoVectors.IOV_MAX - 1; // one is for what is too long
    private static final int ARRAY = 2 * IoVectors.IOV_MAX;

    private final GuestMemory memory;
    private final MemorySegment array;
    private final MemorySegment overflow;
    private final SegmentConsumer append = this::append;
    private final DescriptorChain[] chains;
    private final int[] vectorsOf;
    private int head;
    private int count;
    private int firstVector;
    private int endVector;
    private long capacity;
    private boolean full; // the vectors do not reach for the next buffer

    /**
     * Makes an empty window.
     *
     * @param most buffers at a time: what the queue holds
     * @param overflow host memory for the end of a frame that is too long
     */
    BufferWindow(GuestMemory memory, int most, MemorySegment overflow, Arena arena) {
        this.memory = memory;
        this.overflow = overflow;
        this.array = arena.allocate((long) ARRAY * IoVectors.SIZEOF, Long.BYTES);
        int places = most == 1 ? 1 : Integer.highestOneBit(most - 1) << 1; // a packed queue may have any size
        this.chains = new DescriptorChain[places];
        this.vectorsOf = new int[places];
        for (int i = 0; i < places; i++) {
            chains[i] = new DescriptorChain(memory);
        }
    }

    private DescriptorChain chain(int i) {
        return chains[(head + i) & (chains.length - 1)];
    }

    boolean isEmpty() {
        return count == 0;
    }

    /** Tells whether no buffer more can be taken. */
    boolean isFull() {
        return count == chains.length || full;
    }

    /** Takes buffers until they have room for {@code need} bytes, or the driver has no more, or the window is full. */
    void fill(Virtqueue queue, long need) {
        while (capacity < need && !isFull()) {
            DescriptorChain next = chain(count);
            if (!queue.pop(next)) {
                return;
            }
            if (next.writableLength() < PacketHeader.SIZE) {
                throw new VirtqueueException("a receive buffer of " + next.writableLength() + " bytes");
            }
            int most = (next.count() - next.readableCount()) * memory.regions().size();
            if (count > 0 && vectorCountInUse() + most > MOST_VECTORS) {
                queue.undoPop(next);
                full = true;
                return;
            }
            add(next);
        }
    }

    private void add(DescriptorChain next) {
        if (endVector + MOST_VECTORS > ARRAY) {
            moveToStart();
        }
        int before = endVector;
        for (int i = next.readableCount(); i < next.count(); i++) {
            if (vectorCountInUse() + memory.regions().size() > MOST_VECTORS) {
                break; // a buffer of more pieces than one system call takes: its end stays unused
            }
            int _ = memory.translateForWriting(next.address(i), next.length(i), append);
        }
        vectorsOf[(head + count) & (chains.length - 1)] = endVector - before;
        count++;
    }

    private void append(long address, long length) {
        setVector(endVector++, address, length);
        capacity += length;
    }

    private void setVector(int index, long address, long length) {
        array.set(ValueLayout.JAVA_LONG, (long) index * IoVectors.SIZEOF, address);
        array.set(ValueLayout.JAVA_LONG, (long) index * IoVectors.SIZEOF + Long.BYTES, length);
    }

    private void moveToStart() {
        int used = vectorCountInUse();
        MemorySegment.copy(array, (long) firstVector * IoVectors.SIZEOF, array, 0, (long) used * IoVectors.SIZEOF);
        firstVector = 0;
        endVector = used;
    }

    private int vectorCountInUse() {
        return endVector - firstVector;
    }

    @Override
    public long vectors() {
        setVector(endVector, overflow.address(), overflow.byteSize());
        return array.address() + (long) firstVector * IoVectors.SIZEOF;
    }

    @Override
    public int vectorCount() {
        return vectorCountInUse() + 1;
    }

    @Override
    public long capacity() {
        return capacity;
    }

    @Override
    public void write(long offset, MemorySegment src, long srcOffset, long length) {
        long skip = offset;
        long done = 0;
        for (int i = 0; i < count && done < length; i++) {
            long size = chain(i).writableLength();
            if (skip >= size) {
                skip -= size;
                continue;
            }
            done += chain(i).write(skip, src, srcOffset + done, length - done);
            skip = 0;
        }
    }

    /**
     * Reads the first bytes behind the header: where the frame says to whom it goes.
     *
     * @return whether they lie in one piece; otherwise nothing was read
     */
    boolean readDestination(byte[] dst) {
        DescriptorChain first = chain(0);
        int piece = first.readableCount();
        if (first.length(piece) < PacketHeader.SIZE + dst.length) {
            return false;
        }
        memory.read(first.address(piece) + PacketHeader.SIZE, dst, 0, dst.length);
        return true;
    }

    /**
     * Returns the buffers that hold a frame to the driver, all at once.
     *
     * @param length of the frame with its header, at most {@link #capacity}
     * @param kernelWrote whether the kernel wrote it, unseen by the bitmap of dirty pages
     */
    void deliver(Virtqueue queue, long length, boolean kernelWrote) {
        int buffers = 0;
        for (long left = length; left > 0; buffers++) {
            left -= chain(buffers).writableLength();
        }
        writeBufferCount(buffers);
        boolean mark = kernelWrote && memory.dirtyBitmap().isEnabled();
        long left = length;
        for (int i = 0; i < buffers; i++) {
            DescriptorChain first = chain(0);
            long part = Math.min(left, first.writableLength());
            if (mark) {
                markDirty(first, part);
            }
            queue.stageUsed(first, part);
            left -= part;
            removeFirst();
        }
        queue.publishUsed();
    }

    private void writeBufferCount(int buffers) {
        DescriptorChain first = chain(0);
        int piece = first.readableCount();
        if (first.length(piece) >= PacketHeader.SIZE) {
            memory.putShort(first.address(piece) + PacketHeader.NUM_BUFFERS, (short) buffers);
        } else {
            first.writeByte(PacketHeader.NUM_BUFFERS, (byte) buffers);
            first.writeByte(PacketHeader.NUM_BUFFERS + 1, (byte) (buffers >>> 8));
        }
    }

    private void markDirty(DescriptorChain chain, long length) {
        long left = length;
        for (int i = chain.readableCount(); i < chain.count() && left > 0; i++) {
            long part = Math.min(left, chain.length(i));
            memory.markDirty(chain.address(i), part);
            left -= part;
        }
    }

    private void removeFirst() {
        int vectors = vectorsOf[head];
        for (int i = 0; i < vectors; i++) {
            capacity -= array.get(ValueLayout.JAVA_LONG, (long) (firstVector + i) * IoVectors.SIZEOF + Long.BYTES);
        }
        firstVector += vectors;
        head = (head + 1) & (chains.length - 1);
        count--;
        full = false;
        if (count == 0) {
            firstVector = 0;
            endVector = 0;
        }
    }

    /** Gives all buffers back to the queue, as if they had not been taken. */
    void giveBack(Virtqueue queue) {
        while (count > 0) {
            count--;
            queue.undoPop(chain(count));
        }
        firstVector = 0;
        endVector = 0;
        capacity = 0;
        full = false;
    }
}
