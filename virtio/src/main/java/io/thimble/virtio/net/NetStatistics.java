package io.thimble.virtio.net;

/**
 * What went through a network device since it was made. Bytes are those of frames, without the header.
 *
 * @param receivedFrames that the driver got; one that was not segmented counts once
 * @param receivedBytes in them
 * @param receiveDropped frames for the driver that were too long for its buffers, not for its address, or came while the
 *     link was down
 * @param sentFrames of the driver's that the back end took
 * @param sentBytes in them
 * @param sendDropped frames of the driver's that the back end could not carry, or that were sent while the link was down
 * @param malformed frames of the driver's with an impossible header
 */
public record NetStatistics(
        long receivedFrames,
        long receivedBytes,
        long receiveDropped,
        long sentFrames,
        long sentBytes,
        long sendDropped,
        long malformed) {}
