package io.thimble.virtio.queue;

import java.io.Serial;

/**
 * The driver has broken a rule of the specification in a virtqueue. The queue cannot be used any more: its device needs a
 * reset ({@code DEVICE_NEEDS_RESET}, virtio 1.2, section 2.1.2). Without a stack trace, because a guest decides how often
 * it is thrown.
 */
public final class VirtqueueException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1;

    /** With the rule and the values that break it. */
    public VirtqueueException(String message) {
        super(message, null, false, false);
    }
}
