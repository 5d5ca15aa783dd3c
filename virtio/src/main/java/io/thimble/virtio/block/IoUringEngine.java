package io.thimble.virtio.block;

import io.thimble.linux.Fd;
import io.thimble.linux.IoUring;
import io.thimble.linux.LinuxException;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FsConstants;
import io.thimble.linux.abi.IoUringConstants;
import java.time.Duration;

/** I/O by io_uring(7): one system call starts a batch and takes what has completed. */
final class IoUringEngine implements BlockEngine {
    private static final int ENTRIES = 128;
    private static final int MOST = 256;
    private static final int FILE = 0;
    private static final int[] NEEDED = {
        IoUringConstants.IORING_OP_READV,
        IoUringConstants.IORING_OP_WRITEV,
        IoUringConstants.IORING_OP_FSYNC,
        IoUringConstants.IORING_OP_FALLOCATE,
    };

    private final IoUring ring;
    private final int capacity;
    private final IoUring.CompletionConsumer handOver = this::handOver;
    private Completions receiver = (_, _) -> {};

    /**
     * Sets up a ring for the file.
     *
     * @throws LinuxException if io_uring cannot be used here, with the remedy
     */
    IoUringEngine(String name, Fd file) {
        ring = new IoUring(name + " io_uring", ENTRIES);
        try {
            for (int op : NEEDED) {
                if (!ring.supports(op)) {
                    throw new LinuxException("io_uring operation " + op + " for " + name, Errnos.EOPNOTSUPP);
                }
            }
            ring.registerFiles(file);
        } catch (RuntimeException e) {
            ring.close();
            throw e;
        }
        capacity = Math.min(MOST, ring.capacity());
    }

    @Override
    public String name() {
        return "io_uring";
    }

    @Override
    public int capacity() {
        return capacity;
    }

    @Override
    public Fd event() {
        return ring.eventFd().fd();
    }

    @Override
    public void readv(int id, long iovecs, int count, long offset) {
        while (!ring.readv(FILE, iovecs, count, offset, id)) {
            makeRoom();
        }
    }

    @Override
    public void writev(int id, long iovecs, int count, long offset, boolean durable) {
        while (!ring.writev(FILE, iovecs, count, offset, durable ? FsConstants.RWF_DSYNC : 0, id)) {
            makeRoom();
        }
    }

    @Override
    public void sync(int id) {
        while (!ring.fsync(FILE, true, id)) {
            makeRoom();
        }
    }

    @Override
    public void allocate(int id, int mode, long offset, long length) {
        while (!ring.fallocate(FILE, mode, offset, length, id)) {
            makeRoom();
        }
    }

    /** The submission ring is full; there are never more ids than completions have room for. */
    private void makeRoom() {
        int result = ring.submit();
        if (result < 0 && ring.unsubmitted() == ENTRIES) {
            throw new LinuxException("io_uring_enter", -result);
        }
    }

    @Override
    public void submit() {
        // What the kernel has no memory for now stays queued for the next call.
        int result = ring.unsubmitted() == 0 ? 0 : ring.submit();
        if (result < 0 && result != -Errnos.EAGAIN && result != -Errnos.EBUSY) {
            throw new LinuxException("io_uring_enter", -result);
        }
        if (result < 0) {
            ring.eventFd().signal();
        }
    }

    @Override
    public int complete(Completions completions) {
        receiver = completions;
        int count = ring.completePosted(handOver);
        if (count == 0 && ring.inFlight() > 0) {
            count = ring.complete(handOver);
        }
        return count;
    }

    private void handOver(long userData, int result) {
        receiver.completed((int) userData, result);
    }

    @Override
    public int inFlight() {
        return ring.inFlight() + ring.unsubmitted();
    }

    @Override
    public boolean close(Duration deadline) {
        boolean ended = inFlight() == 0 || ring.cancelAll(deadline, (_, _) -> {});
        if (ended) {
            ring.close();
        }
        return ended;
    }
}
