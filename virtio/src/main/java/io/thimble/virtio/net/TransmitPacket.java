package io.thimble.virtio.net;

import io.thimble.memory.GuestMemory;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.IoVectors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A frame of the driver's on its way out: a checked copy of its header, and the frame where it lies in guest memory. Filled
 * again for each packet; on the loop's thread.
 */
public final class TransmitPacket {
    private final DescriptorChain chain;
    private final MemorySegment header;
    private final IoVectors vectors;

    /**
     * Makes an empty packet.
     *
     * @param arena holds the header and the vectors
     */
    TransmitPacket(GuestMemory memory, Arena arena) {
        this.chain = new DescriptorChain(memory);
        this.header = arena.allocate(PacketHeader.SIZE, Long.BYTES);
        this.vectors = new IoVectors(memory, arena.allocate((long) IoVectors.IOV_MAX * IoVectors.SIZEOF, Long.BYTES));
    }

    DescriptorChain chain() {
        return chain;
    }

    /** Reads the header, once; returns whether this is a packet that can be sent. */
    boolean load(long features) {
        long frame = frameLength();
        return frame >= NetDevice.ETHERNET_HEADER
                && frame <= NetDevice.MAX_FRAME
                && chain.read(0, header, 0, PacketHeader.SIZE) == PacketHeader.SIZE
                && PacketHeader.checkFromDriver(header, frame, features);
    }

    /** Returns the checked header. */
    public MemorySegment header() {
        return header;
    }

    /** Returns the length of the frame in bytes, without the header. */
    public long frameLength() {
        return chain.readableLength() - PacketHeader.SIZE;
    }

    /**
     * Returns vectors of the frame behind {@code prefix}, for writev(2).
     *
     * @param prefix host memory, such as {@link #header}
     */
    public IoVectors vectors(MemorySegment prefix) {
        vectors.clear();
        boolean _ = vectors.addHost(prefix);
        long _ = vectors.addReadable(chain, PacketHeader.SIZE, frameLength());
        return vectors;
    }

    /**
     * Copies a part of the frame.
     *
     * @param from the first byte, without the header
     * @return how many bytes were copied
     */
    public long copyFrame(long from, MemorySegment dst, long dstOffset, long length) {
        return chain.read(PacketHeader.SIZE + from, dst, dstOffset, length);
    }
}
