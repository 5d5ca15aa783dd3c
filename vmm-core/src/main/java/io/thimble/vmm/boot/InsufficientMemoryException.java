package io.thimble.vmm.boot;

/** The guest has less memory than its kernel and initrd need. */
public final class InsufficientMemoryException extends BootException {
    private static final long serialVersionUID = 1L;

    private final long required;

    /**
     * Creates the exception.
     *
     * @param what what needs the memory
     * @param required the least amount of guest memory that would do, in bytes
     * @param available the amount that there is, in bytes
     */
    public InsufficientMemoryException(String what, long required, long available) {
        super(what + " needs at least " + toMebibytes(required) + " MiB of guest memory, and there are only "
                + (available >>> 20) + " MiB: give the VM more memory");
        this.required = required;
    }

    /** Returns the least amount of guest memory that would do, in bytes. */
    public long required() {
        return required;
    }

    private static long toMebibytes(long bytes) {
        return (bytes + (1 << 20) - 1) >>> 20;
    }
}
