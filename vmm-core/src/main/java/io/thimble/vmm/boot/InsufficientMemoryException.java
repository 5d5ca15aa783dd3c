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
        super(what + " needs at least " + readable(required) + " of guest memory, and there are only "
                + readable(available) + ": give the VM more memory");
        this.required = required;
    }

    /** Returns the least amount of guest memory that would do, in bytes. */
    public long required() {
        return required;
    }

    /** Rounds the need up; an amount that a machine has is a whole number of KiB, and mostly of MiB. */
    private static String readable(long bytes) {
        return bytes < 1 << 20 ? ((bytes + (1 << 10) - 1) >>> 10) + " KiB" : ((bytes + (1 << 20) - 1) >>> 20) + " MiB";
    }
}
