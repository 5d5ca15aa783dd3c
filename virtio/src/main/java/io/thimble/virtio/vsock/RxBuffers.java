package io.thimble.virtio.vsock;

import io.thimble.memory.GuestMemory;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.IoVectors;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import java.lang.foreign.MemorySegment;

/**
 * Buffers that the guest has given for packets, several at a time: one system call, or one copy, fills more than one packet.
 * The headers are written, and the buffers returned, when it is known how much came. Not thread-safe.
 */
final class RxBuffers {
    /** As many as make 256 KiB of Linux's, which hold a little less than 4 KiB each. */
    private static final int MOST = 72;

    private final Virtqueue queue;
    private final IoVectors vectors;
    private final DescriptorChain[] chains = new DescriptorChain[MOST];
    private int count;
    private long capacity;
    private long written;

    RxBuffers(Virtqueue queue, GuestMemory memory, IoVectors vectors) {
        this.queue = queue;
        this.vectors = vectors;
        for (int i = 0; i < MOST; i++) {
            chains[i] = new DescriptorChain(memory);
        }
    }

    /**
     * Takes buffers until they have room for {@code wanted} bytes, or as many as there are.
     *
     * @return whether there is at least one
     */
    boolean take(long wanted) {
        count = 0;
        capacity = 0;
        written = 0;
        while (capacity < wanted && count < MOST && queue.pop(chains[count])) {
            long room = chains[count].writableLength() - VsockHeader.SIZEOF;
            if (room <= 0) {
                throw new VirtqueueException("a receive buffer of " + chains[count].writableLength()
                        + " bytes: it has no room for a packet");
            }
            capacity += room;
            count++;
        }
        return count > 0;
    }

    /** Returns how many bytes of data fit. */
    long capacity() {
        return capacity;
    }

    /**
     * Copies data into the buffers, behind what was copied before.
     *
     * @return how much had room
     */
    long write(MemorySegment src, long offset, long length) {
        long done = 0;
        long skip = written;
        for (int i = 0; i < count && done < length; i++) {
            long room = chains[i].writableLength() - VsockHeader.SIZEOF;
            if (skip >= room) {
                skip -= room;
                continue;
            }
            long part = Math.min(room - skip, length - done);
            chains[i].write(VsockHeader.SIZEOF + skip, src, offset + done, part);
            done += part;
            skip = 0;
        }
        written += done;
        return done;
    }

    /** Describes the room for the first {@code most} bytes of data, for a scattering read. */
    IoVectors vectors(long most) {
        vectors.clear();
        long described = 0;
        for (int i = 0; i < count && described < most; i++) {
            long room = Math.min(chains[i].writableLength() - VsockHeader.SIZEOF, most - described);
            long added = vectors.addWritable(chains[i], VsockHeader.SIZEOF, room);
            described += added;
            if (added < room) {
                break; // more pieces than vectors
            }
        }
        return vectors;
    }

    /**
     * Returns buffers to the guest as packets with {@code bytes} of data between them, and keeps the others for later.
     *
     * @param header of all the packets but for its length
     */
    void commit(VsockHeader header, long bytes) {
        long left = bytes;
        int used = 0;
        do {
            DescriptorChain chain = chains[used++];
            int part = (int) Math.min(left, chain.writableLength() - VsockHeader.SIZEOF);
            header.len = part;
            header.write(chain);
            queue.addUsed(chain, VsockHeader.SIZEOF + (long) part);
            left -= part;
        } while (left > 0);
        giveBack(used);
    }

    /** Keeps all buffers for later. */
    void giveBack() {
        giveBack(0);
    }

    private void giveBack(int from) {
        for (int i = count - 1; i >= from; i--) {
            queue.undoPop(chains[i]);
        }
        count = 0;
    }
}
