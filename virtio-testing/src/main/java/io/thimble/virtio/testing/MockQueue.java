package io.thimble.virtio.testing;

import java.util.Optional;

/**
 * The driver's side of a virtqueue of either format, which keeps the rules.
 *
 * <p>Not thread-safe.
 */
public interface MockQueue {
    /**
     * A piece of a buffer.
     *
     * @param address guest-physical
     * @param length in bytes
     * @param writable whether the device writes it
     */
    record Piece(long address, int length, boolean writable) {
        /** A piece for the device to read. */
        public static Piece readable(long address, int length) {
            return new Piece(address, length, false);
        }

        /** A piece for the device to write. */
        public static Piece writable(long address, int length) {
            return new Piece(address, length, true);
        }
    }

    /**
     * What the device has returned.
     *
     * @param id the buffer's, as {@link #add} returned it
     * @param length how many bytes the device says it has written
     */
    record Used(int id, int length) {}

    /** Returns the number of descriptors. */
    int size();

    /** Returns the address of the descriptor area. */
    long descriptors();

    /** Returns the address of the driver area. */
    long driver();

    /** Returns the address of the device area. */
    long device();

    /** Returns how many descriptors {@link #add} has left. */
    int freeDescriptors();

    /**
     * Makes a buffer available, a descriptor a piece.
     *
     * @return its id
     * @throws IllegalStateException if too few descriptors are free
     */
    int add(Piece... pieces);

    /** As {@link #add}, but the pieces stand in a table of their own. */
    int addIndirect(Piece... pieces);

    /**
     * Makes one descriptor available, with any content.
     *
     * @param flags {@code VRING_DESC_F_*}
     * @return its id
     */
    int addRaw(long address, int length, int flags);

    /** Tells whether the device has returned a buffer that was not taken yet. */
    boolean hasUsed();

    /** Takes the next buffer that the device has returned; its descriptors are free again. */
    Optional<Used> pollUsed();

    /** Takes the next buffer that the device has returned; fails if there is none. */
    default Used takeUsed() {
        return pollUsed().orElseThrow(() -> new AssertionError("the device has returned no buffer"));
    }

    /** Says whether the driver wants interrupts; for a driver without {@code VIRTIO_F_EVENT_IDX}. */
    void setInterruptsWanted(boolean wanted);

    /**
     * Asks for an interrupt when the device returns a certain buffer, by {@code VIRTIO_F_EVENT_IDX}.
     *
     * @param count how many are returned before it, from the queue's beginning, where each has one descriptor
     */
    void wantInterruptAt(int count);

    /**
     * Tells whether the device must be notified of what was made available since the last question.
     *
     * @param eventIndex whether {@code VIRTIO_F_EVENT_IDX} was negotiated
     */
    boolean mustNotify(boolean eventIndex);
}
