package io.thimble.virtio.block;

import io.thimble.linux.LinuxException;

/** How a disk's I/O is done on the host. */
public enum BlockEngineKind {
    /** {@link #IO_URING} where the kernel lets us, else {@link #THREADS}. */
    AUTO,
    /** io_uring(7). */
    IO_URING,
    /** preadv(2), pwritev(2) and the like on at most eight threads a disk. */
    THREADS;

    /**
     * Makes the engine of an image.
     *
     * @throws LinuxException if it is {@link #IO_URING} that was asked for and cannot be had, with the remedy
     */
    BlockEngine create(String name, DiskImage image) {
        return switch (this) {
            case IO_URING -> new IoUringEngine(name, image.fd());
            case THREADS -> new WorkerEngine(name, image.fd());
            case AUTO -> {
                try {
                    yield new IoUringEngine(name, image.fd());
                } catch (LinuxException e) {
                    yield new WorkerEngine(name, image.fd());
                }
            }
        };
    }
}
