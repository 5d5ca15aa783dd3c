package io.thimble.vmm.boot;

import java.io.IOException;

/**
 * The machine cannot be booted with what the user gave: a kernel, an initrd, a command line or an amount of memory. The
 * message is one line, names the file or the figure, and says what would help.
 */
public class BootException extends IOException {
    private static final long serialVersionUID = 1L;

    /** Creates the exception. */
    public BootException(String message) {
        super(message);
    }
}
