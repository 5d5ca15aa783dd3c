package io.thimble.virtio.queue;

/**
 * What a virtqueue is, apart from what lies in guest memory: enough to build it again.
 *
 * @param size number of descriptors
 * @param descriptors guest-physical address of the descriptor area
 * @param driver guest-physical address of the driver area (the available ring)
 * @param device guest-physical address of the device area (the used ring)
 * @param nextAvailable the index of the next entry that the device takes, 0 to 0xffff; a packed queue has its wrap
 *     counter in bit 15
 * @param nextUsed the index of the next entry that the device returns, likewise
 * @param notifiedUsed {@code nextUsed} when the device last asked whether to notify, likewise
 */
public record VirtqueueState(
        int size, long descriptors, long driver, long device, int nextAvailable, int nextUsed, int notifiedUsed) {}
