package io.thimble.memory;

/** Receives the host memory behind a range of guest memory, piece by piece, in the order of guest addresses. */
@FunctionalInterface
public interface SegmentConsumer {
    /**
     * Takes one piece.
     *
     * @param hostAddress its address in this process; valid only while the region's segment is alive, which the receiver
     *     must see to
     * @param length its length in bytes, at least 1
     */
    void accept(long hostAddress, long length);
}
