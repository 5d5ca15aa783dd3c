package io.thimble.virtio.queue;

import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import java.lang.invoke.VarHandle;

/**
 * A packed virtqueue (virtio 1.2, section 2.8): one ring, in which the device overwrites descriptors it has taken with those it
 * returns.
 *
 * <p>A place in the ring and its wrap counter are kept as one position, which counts through the ring twice: from 0 while
 * the counter is 1, from the queue's size while it is 0. Between the position of the next buffer to take and that of the
 * next to return lie the descriptors that are the device's: never more than the ring has, whatever the driver writes.
 *
 * <table>
 *   <caption>Who pairs with whom</caption>
 *   <tr><th>here</th><th>in the driver</th></tr>
 *   <tr><td>reads length, id and flags of the first descriptor with acquire, then all else</td>
 *       <td>writes this, then a write barrier, then the flags of the first descriptor</td></tr>
 *   <tr><td>writes length, id and flags with release, those of what was staged first last</td>
 *       <td>reads the flags, then a read barrier, then id and length</td></tr>
 *   <tr><td>writes the device's event suppression, full fence, reads the next descriptor</td>
 *       <td>writes the descriptor, full barrier, reads the device's event suppression</td></tr>
 *   <tr><td>writes a used descriptor, full fence, reads the driver's event suppression</td>
 *       <td>writes its event suppression, full barrier, reads the used descriptor</td></tr>
 * </table>
 */
public final class PackedVirtqueue implements Virtqueue {
    /** The largest queue that the specification allows (section 2.8). */
    public static final int MAX_SIZE = 32768;

    private static final int F_BOTH = PackedLayout.F_AVAIL | PackedLayout.F_USED;
    private static final long NONE = -1;

    private final GuestMemory memory;
    private final int size;
    private final long descriptors;
    private final long driver;
    private final long device;
    private final boolean eventIndex;
    private final boolean indirect;

    private int nextAvailable;
    private int nextUsed;
    private int returned; // descriptors since the last needsInterrupt, at most 2 * size - 1
    private boolean peeked;
    private long head; // of the next buffer, if peeked: its first descriptor's length, id and flags
    private long stagedAt = NONE; // where the first that was staged is to be written
    private long staged;

    /**
     * Takes a queue as the driver has set it up.
     *
     * @param state the addresses, and the indexes: for a new queue those of {@link VirtqueueState#ofNew}
     * @param eventIndex whether {@code VIRTIO_F_EVENT_IDX} was negotiated
     * @param indirect whether {@code VIRTIO_F_INDIRECT_DESC} was negotiated
     * @throws VirtqueueException if the size is not 1 to 32768, an area is misaligned or not in guest memory, or no queue
     *     could have these indexes
     */
    public PackedVirtqueue(GuestMemory memory, VirtqueueState state, boolean eventIndex, boolean indirect) {
        this.memory = memory;
        this.size = state.size();
        this.descriptors = state.descriptors();
        this.driver = state.driver();
        this.device = state.device();
        this.eventIndex = eventIndex;
        this.indirect = indirect;
        if (size < 1 || size > MAX_SIZE) {
            throw new VirtqueueException("a queue size of " + size);
        }
        RingChecks.area(
                memory,
                "descriptor ring",
                descriptors,
                (long) size * RingChecks.SIZEOF_DESC,
                VirtioRingConstants.VRING_DESC_ALIGN_SIZE);
        RingChecks.area(
                memory, "driver event suppression", driver, PackedLayout.SIZEOF_EVENT, PackedLayout.EVENT_ALIGN);
        RingChecks.area(
                memory, "device event suppression", device, PackedLayout.SIZEOF_EVENT, PackedLayout.EVENT_ALIGN);
        this.nextAvailable = position(state.nextAvailable());
        this.nextUsed = position(state.nextUsed());
        this.returned = distance(position(state.notifiedUsed()), nextUsed);
        if (outstanding() > size) {
            throw new VirtqueueException("more descriptors taken than there are: " + state);
        }
    }

    private int position(int index) {
        int offset = index & PackedLayout.EVENT_OFFSET_MASK;
        if (offset >= size) {
            throw new VirtqueueException("index " + offset + " in a ring of " + size + " descriptors");
        }
        return (index & PackedLayout.EVENT_WRAP) != 0 ? offset : offset + size;
    }

    /** The reverse of {@link #position}: the place in the ring, and in bit 15 its wrap counter. */
    private int index(int position) {
        return position < size ? position | PackedLayout.EVENT_WRAP : position - size;
    }

    private int distance(int from, int to) {
        return to < from ? to - from + 2 * size : to - from;
    }

    private int plus(int position, int entries) {
        int sum = position + entries;
        return sum < 2 * size ? sum : sum - 2 * size;
    }

    private long at(int position) {
        return descriptors + (long) (position < size ? position : position - size) * RingChecks.SIZEOF_DESC;
    }

    /** Returns how many descriptors of the ring the device has taken and not returned. */
    private int outstanding() {
        return distance(nextUsed, nextAvailable);
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public boolean hasAvailable() {
        return peeked || peek();
    }

    private boolean peek() {
        long rest = memory.getLongAcquire(at(nextAvailable) + PackedLayout.OFFSETOF_DESC_REST);
        // Section 2.8.1: AVAIL is as the wrap counter, USED is not.
        int available = nextAvailable < size ? PackedLayout.F_AVAIL : PackedLayout.F_USED;
        if ((PackedLayout.flags(rest) & F_BOTH) != available) {
            return false;
        }
        if (outstanding() == size) {
            throw new VirtqueueException("a descriptor made available again before it was used");
        }
        head = rest;
        peeked = true;
        return true;
    }

    @Override
    public boolean pop(DescriptorChain chain) {
        if (!hasAvailable()) {
            return false;
        }
        chain.clear();
        long rest = head;
        int entries = 1;
        if ((PackedLayout.flags(rest) & VirtioRingConstants.VRING_DESC_F_INDIRECT) != 0) {
            addIndirect(chain, memory.getLong(at(nextAvailable)), rest);
        } else {
            int most = size - outstanding();
            int position = nextAvailable;
            while (addOne(chain, memory.getLong(at(position)), rest)) {
                if (entries == most) {
                    throw new VirtqueueException("a chain that goes on into descriptors in use, or a loop");
                }
                entries++;
                position = plus(position, 1);
                rest = memory.getLong(at(position) + PackedLayout.OFFSETOF_DESC_REST);
                if ((PackedLayout.flags(rest) & VirtioRingConstants.VRING_DESC_F_INDIRECT) != 0) {
                    throw new VirtqueueException("an indirect descriptor in a chain");
                }
            }
        }
        chain.identify(PackedLayout.id(rest), entries); // section 2.8.6: the last descriptor's
        nextAvailable = plus(nextAvailable, entries);
        peeked = false;
        return true;
    }

    /** Adds the piece of one descriptor; returns whether the chain goes on. */
    private static boolean addOne(DescriptorChain chain, long address, long rest) {
        int flags = PackedLayout.flags(rest);
        chain.add(address, PackedLayout.length(rest), (flags & VirtioRingConstants.VRING_DESC_F_WRITE) != 0);
        return (flags & VirtioRingConstants.VRING_DESC_F_NEXT) != 0;
    }

    /** Section 2.8.7: the whole table is the chain, in its order; of its descriptors' flags only WRITE means something. */
    private void addIndirect(DescriptorChain chain, long table, long rest) {
        if ((PackedLayout.flags(rest) & VirtioRingConstants.VRING_DESC_F_NEXT) != 0) {
            throw new VirtqueueException("an indirect descriptor with VIRTQ_DESC_F_NEXT");
        }
        int entries = RingChecks.indirectTable(memory, indirect, table, PackedLayout.length(rest));
        if (entries > size) {
            throw new VirtqueueException("a chain of more than " + size + " descriptors: " + entries);
        }
        for (int i = 0; i < entries; i++) {
            long entry = table + (long) i * RingChecks.SIZEOF_DESC;
            boolean _ = addOne(chain, memory.getLong(entry), memory.getLong(entry + PackedLayout.OFFSETOF_DESC_REST));
        }
    }

    @Override
    public void undoPop(DescriptorChain chain) {
        nextAvailable = plus(nextAvailable, 2 * size - chain.ringEntries());
        peeked = false;
    }

    @Override
    public void stageUsed(DescriptorChain chain, long written) {
        int flags = (nextUsed < size ? F_BOTH : 0) | (written == 0 ? 0 : VirtioRingConstants.VRING_DESC_F_WRITE);
        long at = at(nextUsed) + PackedLayout.OFFSETOF_DESC_REST;
        long rest = PackedLayout.rest(written, chain.id(), flags);
        if (stagedAt == NONE) {
            // The driver looks at no descriptor behind one that was not returned: the first hides the others.
            stagedAt = at;
            staged = rest;
        } else {
            memory.putLongRelease(at, rest);
        }
        nextUsed = plus(nextUsed, chain.ringEntries());
        returned = Math.min(returned + chain.ringEntries(), 2 * size - 1);
    }

    @Override
    public void publishUsed() {
        if (stagedAt != NONE) {
            memory.putLongRelease(stagedAt, staged);
            stagedAt = NONE;
        }
    }

    @Override
    public boolean needsInterrupt() {
        VarHandle.fullFence();
        int since = returned;
        returned = 0;
        if (since == 0) {
            return false;
        }
        int event = memory.getIntAcquire(driver);
        int flags = (event >>> 16) & 3;
        if (flags == VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DISABLE) {
            return false;
        }
        if (!eventIndex || flags != VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DESC) {
            return true;
        }
        // Section 2.8.10: if the descriptor that the driver named is among those returned since the last question
        int offset = event & PackedLayout.EVENT_OFFSET_MASK;
        if (offset >= size) {
            return true; // names no descriptor
        }
        int behind = distance((event & PackedLayout.EVENT_WRAP) != 0 ? offset : offset + size, nextUsed);
        return behind > 0 && behind <= since;
    }

    @Override
    public boolean enableNotifications() {
        memory.putIntRelease(
                device,
                eventIndex
                        ? PackedLayout.event(index(nextAvailable), VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DESC)
                        : PackedLayout.event(0, VirtioRingConstants.VRING_PACKED_EVENT_FLAG_ENABLE));
        VarHandle.fullFence();
        return hasAvailable();
    }

    @Override
    public void disableNotifications() {
        // With an event index, a driver that has passed the descriptor stays silent by itself.
        if (!eventIndex) {
            memory.putIntRelease(device, PackedLayout.event(0, VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DISABLE));
        }
    }

    @Override
    public VirtqueueState state() {
        return new VirtqueueState(
                size,
                descriptors,
                driver,
                device,
                index(nextAvailable),
                index(nextUsed),
                index(plus(nextUsed, 2 * size - returned)));
    }

    @Override
    public String toString() {
        return "PackedVirtqueue" + state();
    }
}
