package io.thimble.vmm.boot;

/** A kernel file that is not a kernel, is damaged, or is of a kind that cannot be booted here. */
public final class KernelImageException extends BootException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates the exception.
     *
     * @param file the kernel's file as {@link BootFile#name} has it, which the message starts with
     * @param problem what is wrong with it, and the remedy where there is one
     */
    public KernelImageException(String file, String problem) {
        super(file + ": " + problem);
    }
}
