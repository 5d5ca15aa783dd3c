package io.thimble.memory;

/**
 * A piece of host memory behind guest memory, as {@code struct iovec} wants it.
 *
 * @param address its address in this process; valid only while the region's segment is alive
 * @param length its length in bytes, at least 1
 */
public record HostSegment(long address, long length) {
    @Override
    public String toString() {
        return "0x" + Long.toHexString(address) + "+0x" + Long.toHexString(length);
    }
}
