package io.thimble.virtio.queue;

import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import java.lang.invoke.VarHandle;

/**
 * A split virtqueue (virtio 1.2, section 2.7).
 *
 * <table>
 *   <caption>Who pairs with whom</caption>
 *   <tr><th>here</th><th>in the driver</th></tr>
 *   <tr><td>reads {@code avail.idx} with acquire, then the ring and the descriptors</td>
 *       <td>writes these, then a write barrier, then {@code avail.idx}</td></tr>
 *   <tr><td>writes the used element, then {@code used.idx} with release</td>
 *       <td>reads {@code used.idx}, then a read barrier, then the element</td></tr>
 *   <tr><td>writes {@code avail_event} or {@code used.flags}, full fence, reads {@code avail.idx}</td>
 *       <td>writes {@code avail.idx}, full barrier, reads {@code avail_event} or {@code used.flags}</td></tr>
 *   <tr><td>writes {@code used.idx}, full fence, reads {@code used_event} or {@code avail.flags}</td>
 *       <td>writes these, full barrier, reads {@code used.idx}</td></tr>
 * </table>
 */
public final class SplitVirtqueue implements Virtqueue {
    /** The largest queue that the specification allows (section 2.7). */
    public static final int MAX_SIZE = 32768;

    private static final int INDEX_MASK = 0xffff;

    private final GuestMemory memory;
    private final int size;
    private final long descriptors;
    private final long driver;
    private final long device;
    private final boolean eventIndex;
    private final boolean indirect;

    private int nextAvailable;
    private int nextUsed;
    private int notifiedUsed;
    private int knownAvailable; // avail.idx as last read: entries before it need no further look at it

    /**
     * Takes a queue as the driver has set it up.
     *
     * @param state the addresses, and the indexes, which are 0 for a new queue
     * @param eventIndex whether {@code VIRTIO_F_EVENT_IDX} was negotiated
     * @param indirect whether {@code VIRTIO_F_INDIRECT_DESC} was negotiated
     * @throws VirtqueueException if the size is no power of 2 up to 32768, or an area is misaligned or not in guest memory
     */
    public SplitVirtqueue(GuestMemory memory, VirtqueueState state, boolean eventIndex, boolean indirect) {
        this.memory = memory;
        this.size = state.size();
        this.descriptors = state.descriptors();
        this.driver = state.driver();
        this.device = state.device();
        this.eventIndex = eventIndex;
        this.indirect = indirect;
        this.nextAvailable = state.nextAvailable() & INDEX_MASK;
        this.nextUsed = state.nextUsed() & INDEX_MASK;
        this.notifiedUsed = state.notifiedUsed() & INDEX_MASK;
        this.knownAvailable = nextAvailable;
        if (size < 1 || size > MAX_SIZE || Integer.bitCount(size) != 1) {
            throw new VirtqueueException("a queue size of " + size);
        }
        RingChecks.area(
                memory,
                "descriptor table",
                descriptors,
                SplitLayout.descriptorBytes(size),
                VirtioRingConstants.VRING_DESC_ALIGN_SIZE);
        RingChecks.area(
                memory,
                "available ring",
                driver,
                SplitLayout.driverBytes(size),
                VirtioRingConstants.VRING_AVAIL_ALIGN_SIZE);
        RingChecks.area(
                memory, "used ring", device, SplitLayout.deviceBytes(size), VirtioRingConstants.VRING_USED_ALIGN_SIZE);
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public boolean hasAvailable() {
        return nextAvailable != knownAvailable || lookForMore();
    }

    private boolean lookForMore() {
        int index = Short.toUnsignedInt(memory.getShortAcquire(driver + SplitLayout.OFFSETOF_IDX));
        if (((index - nextAvailable) & INDEX_MASK) > size) {
            throw new VirtqueueException("the available index went from " + nextAvailable + " to " + index
                    + " in a queue of " + size + " entries");
        }
        knownAvailable = index;
        return index != nextAvailable;
    }

    @Override
    public boolean pop(DescriptorChain chain) {
        if (!hasAvailable()) {
            return false;
        }
        long entry = driver
                + SplitLayout.OFFSETOF_RING
                + (long) (nextAvailable & (size - 1)) * SplitLayout.SIZEOF_AVAIL_ENTRY;
        int head = Short.toUnsignedInt(memory.getShort(entry));
        chain.clear();
        int entries = walk(chain, descriptors, size, head, true);
        chain.identify(head, entries);
        nextAvailable = (nextAvailable + 1) & INDEX_MASK;
        return true;
    }

    /**
     * Adds the descriptors of a table from {@code index} on.
     *
     * @param table guest-physical address
     * @param tableSize number of descriptors in it
     * @param mayBeIndirect whether a descriptor may lead to another table: only those of the queue's own table
     * @return how many descriptors of this table there were
     */
    private int walk(DescriptorChain chain, long table, int tableSize, int index, boolean mayBeIndirect) {
        int next = index;
        for (int seen = 1; ; seen++) {
            if (next >= tableSize) {
                throw new VirtqueueException("descriptor " + next + " in a table of " + tableSize);
            }
            long at = table + (long) next * RingChecks.SIZEOF_DESC;
            long address = memory.getLong(at);
            int length = memory.getInt(at + SplitLayout.OFFSETOF_DESC_LEN);
            int flagsAndNext = memory.getInt(at + SplitLayout.OFFSETOF_DESC_FLAGS);
            int flags = flagsAndNext & 0xffff;
            if ((flags & VirtioRingConstants.VRING_DESC_F_INDIRECT) != 0) {
                if (!mayBeIndirect) {
                    throw new VirtqueueException("an indirect descriptor in an indirect table");
                }
                followIndirect(chain, address, length, flags);
                return seen;
            }
            if (chain.count() == size) {
                // Also how a loop ends: it has at most as many steps as the queue has descriptors.
                throw new VirtqueueException("a chain of more than " + size + " descriptors, or a loop");
            }
            chain.add(address, length, (flags & VirtioRingConstants.VRING_DESC_F_WRITE) != 0);
            if ((flags & VirtioRingConstants.VRING_DESC_F_NEXT) == 0) {
                return seen;
            }
            next = flagsAndNext >>> 16;
        }
    }

    /** Section 2.7.5.3: the table is a chain of its own; the descriptor that leads to it ends the chain it stands in. */
    private void followIndirect(DescriptorChain chain, long table, int length, int flags) {
        if ((flags & VirtioRingConstants.VRING_DESC_F_NEXT) != 0) {
            throw new VirtqueueException("an indirect descriptor with VIRTQ_DESC_F_NEXT");
        }
        // No chain is longer than the queue, so what lies far behind cannot be reached.
        int entries = RingChecks.indirectTable(memory, indirect, table, length);
        walk(chain, table, entries, 0, false);
    }

    @Override
    public void undoPop(DescriptorChain chain) {
        nextAvailable = (nextAvailable - 1) & INDEX_MASK;
    }

    @Override
    public void stageUsed(DescriptorChain chain, long written) {
        long entry =
                device + SplitLayout.OFFSETOF_RING + (long) (nextUsed & (size - 1)) * SplitLayout.SIZEOF_USED_ENTRY;
        memory.putInt(entry, chain.id());
        memory.putInt(entry + SplitLayout.OFFSETOF_USED_LEN, (int) written);
        nextUsed = (nextUsed + 1) & INDEX_MASK;
    }

    @Override
    public void publishUsed() {
        memory.putShortRelease(device + SplitLayout.OFFSETOF_IDX, (short) nextUsed);
    }

    @Override
    public boolean needsInterrupt() {
        VarHandle.fullFence();
        int returned = (nextUsed - notifiedUsed) & INDEX_MASK;
        notifiedUsed = nextUsed;
        if (returned == 0) {
            return false;
        }
        if (!eventIndex) {
            int flags = memory.getShort(driver + SplitLayout.OFFSETOF_FLAGS);
            return (flags & VirtioRingConstants.VRING_AVAIL_F_NO_INTERRUPT) == 0;
        }
        int usedEvent = memory.getShort(driver + SplitLayout.driverBytes(size) - 2);
        // Section 2.7.7.2: if the entry that the driver named is among those returned since the last question
        return ((nextUsed - usedEvent - 1) & INDEX_MASK) < returned;
    }

    @Override
    public boolean enableNotifications() {
        if (eventIndex) {
            memory.putShort(device + SplitLayout.deviceBytes(size) - 2, (short) nextAvailable);
        } else {
            memory.putShort(device + SplitLayout.OFFSETOF_FLAGS, (short) 0);
        }
        VarHandle.fullFence();
        return hasAvailable();
    }

    @Override
    public void disableNotifications() {
        // With an event index, a driver that has passed avail_event stays silent by itself.
        if (!eventIndex) {
            memory.putShort(device + SplitLayout.OFFSETOF_FLAGS, (short) VirtioRingConstants.VRING_USED_F_NO_NOTIFY);
        }
    }

    @Override
    public VirtqueueState state() {
        return new VirtqueueState(size, descriptors, driver, device, nextAvailable, nextUsed, notifiedUsed);
    }

    @Override
    public String toString() {
        return "SplitVirtqueue" + state();
    }
}
