package io.thimble.virtio.queue;

import io.thimble.linux.abi.VirtioRingConstants;

/**
 * What a virtqueue is, apart from what lies in guest memory: enough to build it again.
 *
 * @param size number of descriptors
 * @param descriptors guest-physical address of the descriptor area
 * @param driver guest-physical address of the driver area: the available ring, or the driver event suppression
 * @param device guest-physical address of the device area: the used ring, or the device event suppression
 * @param nextAvailable the index of the next entry that the device takes, 0 to 0xffff; a packed queue has its wrap
 *     counter in bit 15
 * @param nextUsed the index of the next entry that the device returns, likewise
 * @param notifiedUsed {@code nextUsed} when the device last asked whether to notify, likewise
 */
public record VirtqueueState(
        int size, long descriptors, long driver, long device, int nextAvailable, int nextUsed, int notifiedUsed) {
    private static final int WRAP = 1 << VirtioRingConstants.VRING_PACKED_EVENT_F_WRAP_CTR;

    /**
     * Returns the state of a queue that was never used.
     *
     * @param packed whether it is a packed one: its wrap counters begin as 1 (section 2.8.1)
     */
    public static VirtqueueState ofNew(int size, long descriptors, long driver, long device, boolean packed) {
        int start = packed ? WRAP : 0;
        return new VirtqueueState(size, descriptors, driver, device, start, start, start);
    }
}
