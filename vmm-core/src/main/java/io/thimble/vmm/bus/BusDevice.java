package io.thimble.vmm.bus;

/**
 * What stands behind a range of ports or of guest-physical addresses.
 *
 * <p>Both methods are called on vCPU threads, on several at once: a device does its own locking, holds a lock for
 * nanoseconds only, never blocks, and never throws whatever the guest asks for.
 */
public interface BusDevice {
    /**
     * Answers a read.
     *
     * @param offset from the start of the range, in bytes; the access lies within the range
     * @param size 1, 2, 4 or 8 bytes
     * @return the value, zero-extended, the byte of the lowest address in bits 7:0
     */
    long read(long offset, int size);

    /**
     * Takes a write.
     *
     * @param offset from the start of the range, in bytes; the access lies within the range
     * @param size 1, 2, 4 or 8 bytes
     * @param value zero-extended, the byte of the lowest address in bits 7:0
     */
    void write(long offset, int size, long value);
}
