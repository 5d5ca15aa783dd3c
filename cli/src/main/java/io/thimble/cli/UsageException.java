package io.thimble.cli;

import java.io.Serial;

/** A command line that cannot be understood; the message is one line. */
final class UsageException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1;

    UsageException(String message) {
        super(message);
    }
}
