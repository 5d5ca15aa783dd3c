package io.thimble.virtio.block;

import io.thimble.virtio.device.RateLimits;

/** What the VM's owner may do with a disk while the guest uses it; from any thread. */
public interface BlockHandle {
    /** Returns the name, for example {@code disk0}. */
    String name();

    /** Returns the path of the image. */
    String path();

    /** Returns how its I/O is done: {@code io_uring} or {@code threads}. */
    String engine();

    /** Returns the size in bytes as the guest knows it. */
    long size();

    /**
     * Makes the image, a file, larger, and tells the guest.
     *
     * @param bytes the new size, a multiple of the block size
     * @throws DiskImageException if it cannot grow to that size, with the remedy
     */
    void resize(long bytes);

    /**
     * Looks how large the image is now, after it was resized on the host, and tells the guest.
     *
     * @return the size in bytes, down to a multiple of the block size
     * @throws io.thimble.linux.LinuxException if the kernel cannot tell
     */
    long rescan();

    /** Returns the limits in effect. */
    RateLimits limits();

    /** Changes the limits, from the next request on. */
    void setLimits(RateLimits limits);

    /** Returns what the disk has done so far. */
    BlockMetrics metrics();
}
