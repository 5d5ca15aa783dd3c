package io.thimble.vmm;

/**
 * What went through a network card so far. A frame that was not segmented counts once.
 *
 * @param receivedFrames that the guest got
 * @param receivedBytes in them
 * @param receiveDropped frames for the guest that were dropped
 * @param sentFrames of the guest's that went out
 * @param sentBytes in them
 * @param sendDropped frames of the guest's that were dropped
 * @param malformed frames of the guest's with an impossible header
 */
public record NetworkStatistics(
        long receivedFrames,
        long receivedBytes,
        long receiveDropped,
        long sentFrames,
        long sentBytes,
        long sendDropped,
        long malformed) {}
