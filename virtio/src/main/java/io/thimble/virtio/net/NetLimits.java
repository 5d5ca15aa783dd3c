package io.thimble.virtio.net;

import io.thimble.virtio.device.RateLimits;

/**
 * How much a network card may carry, each way: bytes and frames a second. A frame that was not segmented counts as one.
 *
 * @param receive towards the guest; frames over it wait in the back end, which bounds and drops them
 * @param transmit from the guest; frames over it wait in the guest's queue
 */
public record NetLimits(RateLimits receive, RateLimits transmit) {
    /** No limits. */
    public static final NetLimits NONE = new NetLimits(RateLimits.NONE, RateLimits.NONE);

    /** The same limits for each way. */
    public static NetLimits both(RateLimits each) {
        return new NetLimits(each, each);
    }
}
