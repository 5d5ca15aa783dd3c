package io.thimble.virtio.block;

import io.thimble.memory.GuestMemory;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.IoVectors;
import java.lang.foreign.MemorySegment;

/** A request that is under way. Made once for each that can be so at a time, and used again. The loop's only. */
final class BlockIo {
    final int id;
    final DescriptorChain chain;
    final IoVectors vectors;
    final BlockRequest request = new BlockRequest();

    /** The index of the queue that it came from. */
    int queue;
    /** How many bytes have been moved. */
    long done;
    /** How often the kernel asked to try again, without any progress in between. */
    int retries;
    /** Whether the part under way goes through the bounce buffer. */
    boolean bounced;
    /** Whether zeros are being written because the file system cannot zero a range by itself. */
    boolean writesZeros;
    /** Whether what is under way is the sync that makes it durable. */
    boolean syncs;

    BlockIo(int id, GuestMemory memory, MemorySegment iovecs) {
        this.id = id;
        this.chain = new DescriptorChain(memory);
        this.vectors = new IoVectors(memory, iovecs);
    }

    void begin(int fromQueue) {
        queue = fromQueue;
        done = 0;
        retries = 0;
        bounced = false;
        writesZeros = false;
        syncs = false;
    }

    long left() {
        return request.length() - done;
    }
}
