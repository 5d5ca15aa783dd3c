package io.thimble.virtio.block;

import io.thimble.linux.Fd;
import io.thimble.linux.IoUring;
import io.thimble.linux.LinuxException;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FsConstants;
import io.thimble.linux.abi.IoUringConstants;
import io.thimble.virtio.queue.IoVectors;
import java.time.Duration;

/** I/O by io_uring(7): one system call starts a batch and takes what has completed. */
final class IoUringEngine implements BlockEngine {
    /** As many as there may be requests at a time, so that the submission ring is never full. */
    private static final int ENTRIES = 256;

    private static final int FILE = 0;
    private static final int[] NEEDED = {
        IoUringConstants.IORING_OP_READ,
        IoUringConstants.IORING_OP_WRITE,
        IoUringConstants.IORING_OP_READV,
        IoUringConstants.IORING_OP_WRITEV,
        IoUringConstants.IORING_OP_FSYNC,
        IoUringConstants.IORING_OP_FALLOCATE,
    };

    private final IoUring ring;
    private final int capacity;
    private final IoUring.CompletionConsumer handOver = this::handOver;
    private Completions receiver = (_, _) -> {};
    private boolean signalling = true;

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
        capacity = Math.min(ENTRIES, ring.capacity());
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
    public boolean hasCompletions() {
        return ring.hasCompletions();
    }

    @Override
    public boolean wantEvent() {
        if (!signalling) {
            signalling = true;
            return ring.setSignalling(true);
        }
        return ring.hasCompletions();
    }

    @Override
    public void read(int id, IoVectors vectors, long offset) {
        queued(
                isOne(vectors)
                        ? ring.read(FILE, vectors.address(0), (int) vectors.length(0), offset, id)
                        : ring.readv(FILE, vectors.address(), vectors.count(), offset, id));
    }

    @Override
    public void write(int id, IoVectors vectors, long offset, boolean durable) {
        int flags = durable ? FsConstants.RWF_DSYNC : 0;
        queued(
                isOne(vectors)
                        ? ring.write(FILE, vectors.address(0), (int) vectors.length(0), offset, flags, id)
                        : ring.writev(FILE, vectors.address(), vectors.count(), offset, flags, id));
    }

    /** One piece of memory goes without an array of vectors, which the kernel need not copy then. */
    private static boolean isOne(IoVectors vectors) {
        return vectors.count() == 1 && vectors.bytes() <= Integer.MAX_VALUE;
    }

    @Override
    public void sync(int id) {
        queued(ring.fsync(FILE, true, id));
    }

    @Override
    public void allocate(int id, int mode, long offset, long length) {
        queued(ring.fallocate(FILE, mode, offset, length, id));
    }

    /** There are never more requests than the submission ring has entries. */
    private static void queued(boolean hadRoom) {
        if (!hadRoom) {
            throw new IllegalStateException("the submission ring is full");
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
        if (signalling) {
            signalling = false;
            boolean _ = ring.setSignalling(false);
        }
        receiver = completions;
        return ring.complete(handOver);
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
        } else {
            ring.abandon();
        }
        return ended;
    }
}
