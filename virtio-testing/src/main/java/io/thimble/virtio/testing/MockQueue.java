package io.thimble.virtio.testing;

import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import java.util.Optional;

/**
 * The driver's side of a virtqueue of either format, which keeps the rules.
 *
 * <p>Not thread-safe.
 */
public abstract class MockQueue {
    /**
     * A piece of a buffer.
     *
     * @param address guest-physical
     * @param length in bytes
     * @param writable whether the device writes it
     */
    public record Piece(long address, int length, boolean writable) {
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
    public record Used(int id, int length) {}

    /** The size of a descriptor in bytes, in a ring as in a table. */
    static final int DESC_BYTES = 16;

    final MockMemory places;
    final GuestMemory memory;
    final int size;
    final long descriptors;
    final long driver;
    final long device;

    /** Lays out an empty queue. */
    MockQueue(MockMemory places, int size, long driverBytes, int driverAlign, long deviceBytes, int deviceAlign) {
        this.places = places;
        this.memory = places.memory();
        this.size = size;
        this.descriptors = places.allocate((long) size * DESC_BYTES, DESC_BYTES);
        this.driver = places.allocate(driverBytes, driverAlign);
        this.device = places.allocate(deviceBytes, deviceAlign);
    }

    /** Returns the flags that a descriptor has for this piece, whatever the format. */
    static int flags(Piece piece) {
        return piece.writable() ? VirtioRingConstants.VRING_DESC_F_WRITE : 0;
    }

    /** Returns the number of descriptors. */
    public final int size() {
        return size;
    }

    /** Returns the address of the descriptor area. */
    public final long descriptors() {
        return descriptors;
    }

    /** Returns the address of the driver area. */
    public final long driver() {
        return driver;
    }

    /** Returns the address of the device area. */
    public final long device() {
        return device;
    }

    /** Returns how many descriptors {@link #add} has left. */
    public abstract int freeDescriptors();

    /**
     * Makes a buffer available, a descriptor a piece.
     *
     * @return its id
     * @throws IllegalStateException if too few descriptors are free
     */
    public abstract int add(Piece... pieces);

    /** As {@link #add}, but the pieces stand in a table of their own. */
    public abstract int addIndirect(Piece... pieces);

    /**
     * Makes one descriptor available, with any content.
     *
     * @param flags {@code VRING_DESC_F_*}
     * @return its id
     */
    public abstract int addRaw(long address, int length, int flags);

    /** Tells whether the device has returned a buffer that was not taken yet. */
    public abstract boolean hasUsed();

    /** Takes the next buffer that the device has returned; its descriptors are free again. */
    public abstract Optional<Used> pollUsed();

    /** Takes the next buffer that the device has returned; fails if there is none. */
    public final Used takeUsed() {
        return pollUsed().orElseThrow(() -> new AssertionError("the device has returned no buffer"));
    }

    /** Says whether the driver wants interrupts; for a driver without {@code VIRTIO_F_EVENT_IDX}. */
    public abstract void setInterruptsWanted(boolean wanted);

    /**
     * Asks for an interrupt when the device returns a certain buffer, by {@code VIRTIO_F_EVENT_IDX}.
     *
     * @param count how many are returned before it, from the queue's beginning, where each has one descriptor
     */
    public abstract void wantInterruptAt(int count);

    /**
     * Tells whether the device must be notified of what was made available since the last question.
     *
     * @param eventIndex whether {@code VIRTIO_F_EVENT_IDX} was negotiated
     */
    public abstract boolean mustNotify(boolean eventIndex);
}
