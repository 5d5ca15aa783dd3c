package io.thimble.virtio.block;

import java.io.Serial;

/** A disk that cannot be used: which, why, and what to do about it. */
public final class DiskImageException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1;

    DiskImageException(String message) {
        super(message);
    }

    DiskImageException(String message, Throwable cause) {
        super(message, cause);
    }
}
