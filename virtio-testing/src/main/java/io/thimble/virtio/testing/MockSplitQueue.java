package io.thimble.virtio.testing;

import io.thimble.linux.abi.VirtioRingConstants;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Optional;

/**
 * The driver's side of a split virtqueue (virtio 1.2, section 2.7). The methods of {@link MockQueue} keep the rules, those
 * that write one field keep none.
 *
 * <p>Not thread-safe.
 */
public final class MockSplitQueue extends MockQueue {
    private final Deque<Integer> free = new ArrayDeque<>();
    private final int[][] chains;
    private int available;
    private int seen;
    private int notified;

    /**
     * Lays out an empty queue.
     *
     * @param size a power of 2
     */
    public MockSplitQueue(MockMemory places, int size) {
        super(places, size, 6 + 2L * size, 2, 6 + 8L * size, 4);
        this.chains = new int[size][];
        for (int i = 0; i < size; i++) {
            free.add(i);
        }
    }

    @Override
    public int freeDescriptors() {
        return free.size();
    }

    @Override
    public int add(Piece... pieces) {
        if (pieces.length > free.size()) {
            throw new IllegalStateException(pieces.length + " pieces, " + free.size() + " free descriptors");
        }
        int[] chain = new int[pieces.length];
        Arrays.setAll(chain, i -> free.remove());
        for (int i = 0; i < pieces.length; i++) {
            boolean last = i == pieces.length - 1;
            setDescriptor(
                    chain[i],
                    pieces[i].address(),
                    pieces[i].length(),
                    flags(pieces[i]) | (last ? 0 : VirtioRingConstants.VRING_DESC_F_NEXT),
                    last ? 0 : chain[i + 1]);
        }
        return publish(chain);
    }

    @Override
    public int addIndirect(Piece... pieces) {
        long table = places.allocate((long) pieces.length * DESC_BYTES, 16);
        for (int i = 0; i < pieces.length; i++) {
            boolean last = i == pieces.length - 1;
            setDescriptorAt(
                    table + (long) i * DESC_BYTES,
                    pieces[i].address(),
                    pieces[i].length(),
                    flags(pieces[i]) | (last ? 0 : VirtioRingConstants.VRING_DESC_F_NEXT),
                    last ? 0 : i + 1);
        }
        int[] chain = {free.remove()};
        setDescriptor(chain[0], table, pieces.length * DESC_BYTES, VirtioRingConstants.VRING_DESC_F_INDIRECT, 0);
        return publish(chain);
    }

    private int publish(int[] chain) {
        chains[chain[0]] = chain;
        makeAvailable(chain[0]);
        return chain[0];
    }

    /** Writes one descriptor. */
    public void setDescriptor(int index, long address, int length, int flags, int next) {
        setDescriptorAt(descriptors + (long) index * DESC_BYTES, address, length, flags, next);
    }

    /** Writes one descriptor of any table. */
    public void setDescriptorAt(long at, long address, int length, int flags, int next) {
        memory.putLong(at, address);
        memory.putInt(at + 8, length);
        memory.putShort(at + 12, (short) flags);
        memory.putShort(at + 14, (short) next);
    }

    /** Puts any number into the next entry of the available ring, and counts the index up. */
    public void makeAvailable(int head) {
        memory.putShort(driver + 4 + 2L * (available & (size - 1)), (short) head);
        setAvailableIndex(available + 1);
    }

    /** Writes {@code avail.idx}. */
    public void setAvailableIndex(int index) {
        available = index & 0xffff;
        memory.putShortRelease(driver + 2, (short) index);
    }

    /** Returns the last {@code avail.idx} that was written. */
    public int availableIndex() {
        return available;
    }

    /** Writes {@code avail.flags}. */
    public void setAvailableFlags(int flags) {
        memory.putShort(driver, (short) flags);
    }

    /** Writes {@code avail.used_event}. */
    public void setUsedEvent(int index) {
        memory.putShort(driver + 4 + 2L * size, (short) index);
    }

    /** Reads {@code used.flags}. */
    public int usedFlags() {
        return Short.toUnsignedInt(memory.getShort(device));
    }

    /** Reads {@code used.idx}. */
    public int usedIndex() {
        return Short.toUnsignedInt(memory.getShortAcquire(device + 2));
    }

    /** Reads {@code used.avail_event}. */
    public int availableEvent() {
        return Short.toUnsignedInt(memory.getShort(device + 4 + 8L * size));
    }

    @Override
    public Optional<Used> pollUsed() {
        if (!hasUsed()) {
            return Optional.empty();
        }
        long entry = device + 4 + 8L * (seen & (size - 1));
        seen++;
        Used used = new Used(memory.getInt(entry), memory.getInt(entry + 4));
        if (used.id() >= 0 && used.id() < size && chains[used.id()] != null) {
            for (int descriptor : chains[used.id()]) {
                free.add(descriptor);
            }
            chains[used.id()] = null;
        }
        return Optional.of(used);
    }

    @Override
    public boolean hasUsed() {
        return usedIndex() != (seen & 0xffff);
    }

    @Override
    public int addRaw(long address, int length, int flags) {
        int[] chain = {free.remove()};
        setDescriptor(chain[0], address, length, flags, 0);
        return publish(chain);
    }

    @Override
    public void setInterruptsWanted(boolean wanted) {
        setAvailableFlags(wanted ? 0 : VirtioRingConstants.VRING_AVAIL_F_NO_INTERRUPT);
    }

    @Override
    public void wantInterruptAt(int count) {
        setUsedEvent(count);
    }

    @Override
    public boolean mustNotify(boolean eventIndex) {
        int before = notified;
        notified = available;
        if (!eventIndex) {
            return (usedFlags() & VirtioRingConstants.VRING_USED_F_NO_NOTIFY) == 0;
        }
        return ((available - availableEvent() - 1) & 0xffff) < ((available - before) & 0xffff);
    }
}
