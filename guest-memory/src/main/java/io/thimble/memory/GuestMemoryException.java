package io.thimble.memory;

/**
 * An access that guest memory refuses: outside every region, across the end of one, or misaligned. Unchecked, since most
 * callers stand in a device loop that has one place to turn it into "the device needs a reset".
 */
public final class GuestMemoryException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final long guestAddress;
    private final long length;

    /**
     * Creates the exception.
     *
     * @param what what is wrong, in a few words; the address and the length are appended in hexadecimal
     * @param guestAddress the guest-physical address as it was given
     * @param length the length in bytes as it was given; negative values are shown as unsigned
     */
    public GuestMemoryException(String what, long guestAddress, long length) {
        super(what + ": address 0x" + Long.toHexString(guestAddress) + ", length 0x" + Long.toHexString(length));
        this.guestAddress = guestAddress;
        this.length = length;
    }

    /** Returns the guest-physical address of the refused access. */
    public long guestAddress() {
        return guestAddress;
    }

    /** Returns the length of the refused access in bytes, as it was given. */
    public long length() {
        return length;
    }
}
