package io.thimble.virtio.queue;

import io.thimble.memory.GuestMemory;

/** What both formats of virtqueues check of what the driver wrote. */
final class RingChecks {
    /** Descriptors have this size in both formats, and in indirect tables. */
    static final int SIZEOF_DESC = 16;

    private RingChecks() {}

    /**
     * Checks an area of a queue.
     *
     * @throws VirtqueueException if it is misaligned or not in guest memory
     */
    static void area(GuestMemory memory, String name, long address, long bytes, int alignment) {
        if ((address & (alignment - 1)) != 0) {
            throw new VirtqueueException(
                    "the " + name + " is at 0x" + Long.toHexString(address) + ", which is no multiple of " + alignment);
        }
        if (!memory.contains(address, bytes)) {
            throw new VirtqueueException("the " + name + " is outside guest memory: 0x" + Long.toHexString(address)
                    + ", " + bytes + " bytes");
        }
    }

    /**
     * Checks an indirect table.
     *
     * @param negotiated whether {@code VIRTIO_F_INDIRECT_DESC} was
     * @param length in bytes, unsigned
     * @return the number of its descriptors, at least 1
     * @throws VirtqueueException if there may be none, it has no whole number of descriptors, or is not in guest memory
     */
    static int indirectTable(GuestMemory memory, boolean negotiated, long table, int length) {
        if (!negotiated) {
            throw new VirtqueueException("an indirect descriptor without VIRTIO_F_INDIRECT_DESC");
        }
        long bytes = Integer.toUnsignedLong(length);
        if (bytes == 0 || bytes % SIZEOF_DESC != 0) {
            throw new VirtqueueException("an indirect table of " + bytes + " bytes");
        }
        if (!memory.contains(table, bytes)) {
            throw new VirtqueueException(
                    "an indirect table outside guest memory: 0x" + Long.toHexString(table) + ", " + bytes + " bytes");
        }
        return (int) (bytes / SIZEOF_DESC);
    }
}
