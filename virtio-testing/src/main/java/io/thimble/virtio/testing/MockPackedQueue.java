package io.thimble.virtio.testing;

import io.thimble.linux.abi.VirtioRingConstants;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * The driver's side of a packed virtqueue (virtio 1.2, section 2.8). The methods of {@link MockQueue} keep the rules, those
 * that write one descriptor or structure keep none.
 *
 * <p>Not thread-safe.
 */
public final class MockPackedQueue extends MockQueue {
    private static final int AVAIL = 1 << VirtioRingConstants.VRING_PACKED_DESC_F_AVAIL;
    private static final int USED = 1 << VirtioRingConstants.VRING_PACKED_DESC_F_USED;
    private static final int WRAP = 1 << VirtioRingConstants.VRING_PACKED_EVENT_F_WRAP_CTR;

    private final Deque<Integer> freeIds = new ArrayDeque<>();
    private final int[] entriesOf;
    private long added; // descriptors, from the queue's beginning
    private long taken; // likewise
    private long notified; // of the added ones

    /**
     * Lays out an empty queue.
     *
     * @param size from 1 to 32768
     */
    public MockPackedQueue(MockMemory places, int size) {
        super(places, size, 4, 4, 4, 4);
        this.entriesOf = new int[size];
        // Not in the order of the ring, so that an id is not taken for a place.
        for (int id = size - 1; id >= 0; id--) {
            freeIds.add(id);
        }
    }

    @Override
    public int freeDescriptors() {
        return size - (int) (added - taken);
    }

    private boolean wrapCounter(long count) {
        return (count / size & 1) == 0;
    }

    private int slot(long count) {
        return (int) (count % size);
    }

    @Override
    public int add(Piece... pieces) {
        requireFree(pieces.length);
        int id = freeIds.remove();
        long first = added;
        // The first descriptor last (section 2.8.21.1).
        for (int i = pieces.length - 1; i >= 0; i--) {
            int flags = flags(pieces[i]) | (i == pieces.length - 1 ? 0 : VirtioRingConstants.VRING_DESC_F_NEXT);
            makeAvailable(first + i, pieces[i].address(), pieces[i].length(), id, flags);
        }
        entriesOf[id] = pieces.length;
        added += pieces.length;
        return id;
    }

    private void requireFree(int count) {
        if (count > freeDescriptors()) {
            throw new IllegalStateException(count + " pieces, " + freeDescriptors() + " free descriptors");
        }
    }

    private void makeAvailable(long count, long address, int length, int id, int flags) {
        setDescriptor(slot(count), address, length, id, flags | (wrapCounter(count) ? AVAIL : USED));
    }

    @Override
    public int addIndirect(Piece... pieces) {
        long table = places.allocate((long) pieces.length * DESC_BYTES, 16);
        for (int i = 0; i < pieces.length; i++) {
            setDescriptorAt(
                    table + (long) i * DESC_BYTES, pieces[i].address(), pieces[i].length(), 0, flags(pieces[i]));
        }
        return addRaw(table, pieces.length * DESC_BYTES, VirtioRingConstants.VRING_DESC_F_INDIRECT);
    }

    @Override
    public int addRaw(long address, int length, int flags) {
        requireFree(1);
        int id = freeIds.remove();
        makeAvailable(added, address, length, id, flags);
        entriesOf[id] = 1;
        added++;
        return id;
    }

    /** Writes one descriptor, its flags last. */
    public void setDescriptor(int slot, long address, int length, int id, int flags) {
        setDescriptorAt(descriptors + (long) slot * DESC_BYTES, address, length, id, flags);
    }

    /** Writes one descriptor of any table. */
    public void setDescriptorAt(long at, long address, int length, int id, int flags) {
        memory.putLong(at, address);
        memory.putInt(at + 8, length);
        memory.putShort(at + 12, (short) id);
        memory.putShortRelease(at + 14, (short) flags);
    }

    /**
     * Writes the driver event suppression structure.
     *
     * @param offsetAndWrap the descriptor's place, with its wrap counter in bit 15
     * @param flags {@code VRING_PACKED_EVENT_FLAG_*}
     */
    public void setDriverEvent(int offsetAndWrap, int flags) {
        memory.putShort(driver, (short) offsetAndWrap);
        memory.putShortRelease(driver + 2, (short) flags);
    }

    /** Reads the first half of the device event suppression structure: a place, with its wrap counter in bit 15. */
    public int deviceEventOffset() {
        return Short.toUnsignedInt(memory.getShort(device));
    }

    /** Reads the second half: {@code VRING_PACKED_EVENT_FLAG_*}. */
    public int deviceEventFlags() {
        return Short.toUnsignedInt(memory.getShort(device + 2));
    }

    @Override
    public boolean hasUsed() {
        int used = wrapCounter(taken) ? AVAIL | USED : 0;
        long flags = descriptors + (long) slot(taken) * DESC_BYTES + 14;
        return taken < added && (memory.getShortAcquire(flags) & (AVAIL | USED)) == used;
    }

    @Override
    public Optional<Used> pollUsed() {
        if (!hasUsed()) {
            return Optional.empty();
        }
        long at = descriptors + (long) slot(taken) * DESC_BYTES;
        int id = Short.toUnsignedInt(memory.getShort(at + 12));
        if (id >= size || entriesOf[id] == 0) {
            throw new AssertionError("the device returned a buffer that it does not have: " + id);
        }
        boolean written = (memory.getShort(at + 14) & VirtioRingConstants.VRING_DESC_F_WRITE) != 0;
        taken += entriesOf[id];
        entriesOf[id] = 0;
        freeIds.add(id);
        return Optional.of(new Used(id, written ? memory.getInt(at + 8) : 0));
    }

    @Override
    public void setInterruptsWanted(boolean wanted) {
        setDriverEvent(
                0,
                wanted
                        ? VirtioRingConstants.VRING_PACKED_EVENT_FLAG_ENABLE
                        : VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DISABLE);
    }

    @Override
    public void wantInterruptAt(int count) {
        int lap = Math.floorDiv(count, size);
        setDriverEvent(
                Math.floorMod(count, size) | ((lap & 1) == 0 ? WRAP : 0),
                VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DESC);
    }

    @Override
    public boolean mustNotify(boolean eventIndex) {
        long before = notified;
        notified = added;
        int flags = deviceEventFlags();
        if (!eventIndex || flags != VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DESC) {
            return flags != VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DISABLE;
        }
        int wanted = deviceEventOffset();
        for (long count = before; count < added; count++) {
            if (wanted == (slot(count) | (wrapCounter(count) ? WRAP : 0))) {
                return true;
            }
        }
        return false;
    }
}
