package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.IoUringConstants;
import io.thimble.linux.abi.IoUringCqeLayout;
import io.thimble.linux.abi.IoUringSqeLayout;
import io.thimble.linux.abi.PollConstants;
import io.thimble.linux.abi.PollfdLayout;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.BitSet;

/**
 * A pair of rings shared with the kernel (io_uring(7)): operations go in by the submission ring, their results come back
 * by the completion ring, in any order. No call here allocates after construction.
 *
 * <p><b>Obligations.</b>
 * <ol>
 *   <li>One thread makes all calls that queue, submit and complete: the first that submits. {@link #eventFd},
 *       {@link #supports} and {@link #registerFiles} are for any thread, before that.
 *   <li>What a request reads or writes stays mapped until its completion has been seen. An iovec array may be reused when
 *       {@link #submit} has returned 0.
 *   <li>{@link #close} comes after {@link #cancelAll} returned true; otherwise the kernel may still use the buffers.
 * </ol>
 *
 * <p>At most {@link #capacity} requests are under way at once, so that the completion ring cannot overflow. Guest memory
 * is never registered with a ring: pinned pages cannot be given back.
 *
 * <table>
 *   <caption>Memory order</caption>
 *   <tr><th>here</th><th>the kernel</th></tr>
 *   <tr><td>writes entries, then the submission tail with release</td><td>reads the tail with acquire</td></tr>
 *   <tr><td>reads the completion tail with acquire, then entries</td><td>writes it with release</td></tr>
 *   <tr><td>writes the completion head with release after reading entries</td><td>reads it with acquire</td></tr>
 * </table>
 */
public final class IoUring implements AutoCloseable {
    /** Takes completions: the request's {@code user_data} and its result, zero or more or {@code -errno}. */
    @FunctionalInterface
    public interface CompletionConsumer {
        /** Called on the ring's thread; may queue requests. */
        void accept(long userData, int result);
    }

    /** The user data of this class's own cancel request, which is not handed out. */
    private static final long CANCEL = -1L;

    private static final VarHandle INT = ValueLayout.JAVA_INT.varHandle();

    private final Arena arena = Arena.ofShared();
    private final MemorySegment capture = Syscall.newCapture(arena);
    private final MemorySegment pollfd = arena.allocate(PollfdLayout.SIZEOF, Long.BYTES);
    private final MemorySegment timeout = arena.allocate(2 * Long.BYTES, Long.BYTES);
    private final IoUringSetup setup;
    private final Fd fd;
    private final EventFd event;
    private final BitSet ops;
    private final MemorySegment rings;
    private final MemorySegment sqes;
    private final int sqMask;
    private final int cqMask;
    private final int capacity;
    private final boolean flagged;

    private boolean enabled;
    private boolean filesRegistered;
    private int tail;
    private int unsubmitted;
    private int inFlight;

    /**
     * Creates a ring.
     *
     * @param name whose it is, for messages
     * @param entries how many requests can be queued before a submit, at least 1; rounded up to a power of 2 and limited
     *     to the kernel's maximum
     * @throws LinuxException with the remedy, if the kernel has no io_uring ({@code ENOSYS}), forbids it ({@code EPERM})
     *     or lacks memory for it
     */
    public IoUring(String name, int entries) {
        if (entries < 1) {
            throw new IllegalArgumentException("entries: " + entries);
        }
        IoUringSetup made = null;
        EventFd eventFd = null;
        try {
            made = new IoUringSetup(arena, name, entries);
            eventFd = new EventFd(name);
            ops = IoUringSetup.supportedOps(made.fd);
            registerEventFd(made.fd, eventFd.fd());
        } catch (RuntimeException e) {
            if (made != null) {
                made.fd.close();
            }
            if (eventFd != null) {
                eventFd.close();
            }
            arena.close();
            throw e;
        }
        setup = made;
        event = eventFd;
        fd = setup.fd;
        rings = setup.rings;
        sqes = setup.sqes;
        sqMask = setup.sqEntries - 1;
        cqMask = setup.cqEntries - 1;
        // One completion is kept free for the cancel request.
        capacity = setup.cqEntries - 1;
        flagged = (setup.flags & IoUringConstants.IORING_SETUP_TASKRUN_FLAG) != 0;
        enabled = (setup.flags & IoUringConstants.IORING_SETUP_R_DISABLED) == 0;
    }

    private void registerEventFd(Fd ring, Fd eventFd) {
        MemorySegment number = arena.allocate(Integer.BYTES, Integer.BYTES);
        number.set(ValueLayout.JAVA_INT, 0, eventFd.number());
        register(ring, IoUringConstants.IORING_REGISTER_EVENTFD, number.address(), 1);
    }

    private void register(Fd ring, int operation, long argument, int count) {
        LinuxException.check(
                "io_uring_register(" + operation + ") of " + ring,
                Syscall.call(capture, Syscalls.SYS_io_uring_register, ring.number(), operation, argument, count, 0, 0));
    }

    /**
     * Returns the event that the kernel signals when there are completions, for epoll. With {@code EPOLLET} nobody needs
     * to {@link EventFd#consume} it: each signal is one event.
     */
    public EventFd eventFd() {
        return event;
    }

    /** Returns how many requests may be under way at once. */
    public int capacity() {
        return capacity;
    }

    /** Returns the {@code IORING_SETUP_*} flags that the kernel accepted. */
    public int setupFlags() {
        return setup.flags;
    }

    /** Returns the kernel's {@code IORING_FEAT_*}. */
    public int features() {
        return setup.features;
    }

    /** Tells whether the kernel supports operation {@code IORING_OP_*}. */
    public boolean supports(int op) {
        return ops.get(op);
    }

    /**
     * Makes files known to the kernel once, which saves the look-up of each request's descriptor; the requests then name
     * a file by its index here. The ring keeps the files open until it is closed.
     *
     * @throws LinuxException if the kernel refuses; then requests go on naming descriptors
     * @throws IllegalStateException if files were registered before
     */
    public void registerFiles(Fd... files) {
        if (filesRegistered) {
            throw new IllegalStateException("files are registered already");
        }
        try (Arena call = Arena.ofConfined()) {
            MemorySegment numbers = call.allocate(ValueLayout.JAVA_INT, files.length);
            for (int i = 0; i < files.length; i++) {
                numbers.setAtIndex(ValueLayout.JAVA_INT, i, files[i].number());
            }
            register(fd, IoUringConstants.IORING_REGISTER_FILES, numbers.address(), files.length);
        }
        filesRegistered = true;
    }

    // Every encoder returns false, and queues nothing, if the submission ring is full (submit first) or if capacity()
    // requests are under way (complete first). "file" is an index of registerFiles, or a descriptor if there was none.

    /** Queues an operation that does nothing. */
    public boolean nop(long userData) {
        return enqueue(IoUringConstants.IORING_OP_NOP, 0, -1, 0, 0, 0, 0, userData);
    }

    /** Queues a read of {@code length} bytes at {@code offset} into host memory. */
    public boolean read(int file, long address, int length, long offset, long userData) {
        return enqueue(IoUringConstants.IORING_OP_READ, fileFlag(), file, offset, address, length, 0, userData);
    }

    /** Queues a write of {@code length} bytes from host memory; {@code rwFlags} are {@code RWF_*}. */
    public boolean write(int file, long address, int length, long offset, int rwFlags, long userData) {
        return enqueue(IoUringConstants.IORING_OP_WRITE, fileFlag(), file, offset, address, length, rwFlags, userData);
    }

    /** Queues a read into {@code count} iovecs (preadv(2)). */
    public boolean readv(int file, long iovecs, int count, long offset, long userData) {
        return enqueue(IoUringConstants.IORING_OP_READV, fileFlag(), file, offset, iovecs, count, 0, userData);
    }

    /** Queues a write from {@code count} iovecs (pwritev2(2)); {@code rwFlags} are {@code RWF_*}. */
    public boolean writev(int file, long iovecs, int count, long offset, int rwFlags, long userData) {
        return enqueue(IoUringConstants.IORING_OP_WRITEV, fileFlag(), file, offset, iovecs, count, rwFlags, userData);
    }

    /** Queues an fsync(2), or an fdatasync(2) if {@code dataOnly}. */
    public boolean fsync(int file, boolean dataOnly, long userData) {
        int flags = dataOnly ? IoUringConstants.IORING_FSYNC_DATASYNC : 0;
        return enqueue(IoUringConstants.IORING_OP_FSYNC, fileFlag(), file, 0, 0, 0, flags, userData);
    }

    /** Queues a fallocate(2); {@code mode} is {@code FALLOC_FL_*}. */
    public boolean fallocate(int file, int mode, long offset, long length, long userData) {
        // The length travels in addr, the mode in len.
        return enqueue(IoUringConstants.IORING_OP_FALLOCATE, fileFlag(), file, offset, length, mode, 0, userData);
    }

    /** Queues a wait, once, for {@code POLL*} events of a descriptor. */
    public boolean pollAdd(Fd watched, int events, long userData) {
        return enqueue(IoUringConstants.IORING_OP_POLL_ADD, 0, watched.number(), 0, 0, 0, events, userData);
    }

    /** Queues the cancellation of the request with user data {@code target}; both then complete. */
    public boolean cancel(long target, long userData) {
        return enqueue(IoUringConstants.IORING_OP_ASYNC_CANCEL, 0, -1, 0, target, 0, 0, userData);
    }

    private int fileFlag() {
        return filesRegistered ? IoUringConstants.IOSQE_FIXED_FILE : 0;
    }

    /**
     * Writes one entry.
     *
     * <pre>
     * struct io_uring_sqe { __u8 opcode, flags; __u16 ioprio; __s32 fd; __u64 off; __u64 addr; __u32 len;
     *                       __u32 rw_flags; __u64 user_data; __u16 buf_index, personality; __s32 splice_fd_in;
     *                       __u64 addr3, __pad2[1]; };   (64 bytes; off, addr and rw_flags are unions)
     * </pre>
     */
    private boolean enqueue(int op, int flags, int file, long off, long addr, int len, int opFlags, long userData) {
        if (unsubmitted > sqMask || inFlight + unsubmitted >= capacity) {
            return false;
        }
        put(op, flags, file, off, addr, len, opFlags, userData);
        return true;
    }

    private void put(int op, int flags, int file, long off, long addr, int len, int opFlags, long userData) {
        long sqe = (tail & sqMask) * IoUringSqeLayout.SIZEOF;
        // opcode, flags, ioprio and fd are one little-endian long.
        sqes.set(ValueLayout.JAVA_LONG, sqe + IoUringSqeLayout.OFFSETOF_OPCODE, op | flags << 8 | (long) file << 32);
        sqes.set(ValueLayout.JAVA_LONG, sqe + IoUringSqeLayout.OFFSETOF_OFF, off);
        sqes.set(ValueLayout.JAVA_LONG, sqe + IoUringSqeLayout.OFFSETOF_ADDR, addr);
        sqes.set(ValueLayout.JAVA_INT, sqe + IoUringSqeLayout.OFFSETOF_LEN, len);
        sqes.set(ValueLayout.JAVA_INT, sqe + IoUringSqeLayout.OFFSETOF_RW_FLAGS, opFlags);
        sqes.set(ValueLayout.JAVA_LONG, sqe + IoUringSqeLayout.OFFSETOF_USER_DATA, userData);
        sqes.set(ValueLayout.JAVA_LONG, sqe + IoUringSqeLayout.OFFSETOF_BUF_INDEX, 0);
        sqes.set(ValueLayout.JAVA_LONG, sqe + IoUringSqeLayout.OFFSETOF_ADDR3, 0);
        sqes.set(ValueLayout.JAVA_LONG, sqe + IoUringSqeLayout.OFFSETOF___PAD2, 0);
        tail++;
        unsubmitted++;
    }

    /** Returns how many requests are queued and not yet submitted. */
    public int unsubmitted() {
        return unsubmitted;
    }

    /** Returns how many submitted requests have not completed. */
    public int inFlight() {
        return inFlight;
    }

    /**
     * Hands all queued requests to the kernel in one system call, and lets it post what has completed meanwhile.
     *
     * @return 0, or {@code -errno} ({@code EAGAIN} for want of memory, {@code EBUSY}) while requests remain
     *     {@link #unsubmitted}: complete some and call again, or {@link #withdraw} them
     */
    public int submit() {
        if (!enabled) {
            enable();
        }
        INT.setRelease(rings, setup.sqTail, tail);
        while (unsubmitted > 0) {
            long result = enter(unsubmitted);
            if (result < 0) {
                return (int) result;
            }
            if (result == 0) {
                return -Errnos.EAGAIN;
            }
            unsubmitted -= (int) result;
            inFlight += (int) result;
        }
        return 0;
    }

    /** Takes back the last queued request that the kernel has not seen. Its encoder's arguments are the caller's again. */
    public void withdraw() {
        if (unsubmitted == 0) {
            throw new IllegalStateException("nothing to withdraw");
        }
        tail--;
        unsubmitted--;
        INT.setRelease(rings, setup.sqTail, tail);
    }

    /**
     * Tells whether there are completions, without a system call: in the ring, or waiting for {@link #complete} to ask for
     * them.
     */
    public boolean hasCompletions() {
        return (int) INT.getAcquire(rings, setup.cqTail) != rings.get(ValueLayout.JAVA_INT, setup.cqHead)
                || isWaiting();
    }

    /** Tells whether the kernel has work that leads to completions, and does it when this thread calls the next time. */
    private boolean isWaiting() {
        return flagged && ((int) INT.getAcquire(rings, setup.sqFlags) & IoUringConstants.IORING_SQ_TASKRUN) != 0;
    }

    /**
     * Has the kernel signal {@link #eventFd} for completions, as it does from the beginning, or not: for a thread that looks
     * by itself, and saves both sides the signal.
     *
     * @return whether there are completions already, for which no signal need follow
     */
    public boolean setSignalling(boolean on) {
        if (setup.cqFlags != 0) { // Linux 5.8; before, there are signals always
            INT.setVolatile(rings, setup.cqFlags, on ? 0 : IoUringConstants.IORING_CQ_EVENTFD_DISABLED);
        }
        VarHandle.fullFence();
        return hasCompletions();
    }

    /**
     * Hands all completions that there are to {@code consumer}; does not wait, and makes a system call only where the
     * kernel waits for one.
     *
     * @return how many
     */
    public int complete(CompletionConsumer consumer) {
        int count = completePosted(consumer);
        if (isWaiting()) {
            enter(0);
            count += completePosted(consumer);
        }
        return count;
    }

    private int completePosted(CompletionConsumer consumer) {
        int head = rings.get(ValueLayout.JAVA_INT, setup.cqHead);
        int end = (int) INT.getAcquire(rings, setup.cqTail);
        int count = 0;
        while (head != end) {
            long cqe = setup.cqes + (head & cqMask) * IoUringCqeLayout.SIZEOF;
            long userData = rings.get(ValueLayout.JAVA_LONG, cqe + IoUringCqeLayout.OFFSETOF_USER_DATA);
            int result = rings.get(ValueLayout.JAVA_INT, cqe + IoUringCqeLayout.OFFSETOF_RES);
            head++;
            INT.setRelease(rings, setup.cqHead, head);
            inFlight--;
            if (userData != CANCEL) {
                consumer.accept(userData, result);
                count++;
            }
        }
        return count;
    }

    private void enable() {
        register(fd, IoUringConstants.IORING_REGISTER_ENABLE_RINGS, 0, 0);
        enabled = true;
    }

    private long enter(int toSubmit) {
        long result;
        do {
            result = Syscall.call(
                    capture,
                    Syscalls.SYS_io_uring_enter,
                    fd.number(),
                    toSubmit,
                    0,
                    IoUringConstants.IORING_ENTER_GETEVENTS,
                    0,
                    0);
        } while (result == -Errnos.EINTR);
        return result;
    }

    /**
     * Waits until there may be completions, at most {@code wait}; {@link #complete} then takes them.
     *
     * @return false at the deadline
     */
    public boolean await(Duration wait) {
        long nanos = Math.max(0, wait.toNanos());
        pollfd.set(ValueLayout.JAVA_INT, PollfdLayout.OFFSETOF_FD, event.fd().number());
        pollfd.set(ValueLayout.JAVA_SHORT, PollfdLayout.OFFSETOF_EVENTS, (short) PollConstants.POLLIN);
        timeout.setAtIndex(ValueLayout.JAVA_LONG, 0, nanos / 1_000_000_000);
        timeout.setAtIndex(ValueLayout.JAVA_LONG, 1, nanos % 1_000_000_000);
        long result = Syscall.call(capture, Syscalls.SYS_ppoll, pollfd.address(), 1, timeout.address(), 0, 0, 0);
        if (result > 0) {
            event.consume();
        }
        return result != 0;
    }

    /**
     * Submits what is queued, cancels what is under way and waits for it to end; the completions go to {@code consumer},
     * with {@code -ECANCELED} for those that were cancelled. Reads and writes that a device has begun run to their end.
     *
     * @return false if some had not ended at the deadline
     */
    public boolean cancelAll(Duration deadline, CompletionConsumer consumer) {
        long end = System.nanoTime() + deadline.toNanos();
        boolean cancelled = false;
        boolean _ = setSignalling(true);
        while (true) {
            if (!cancelled && unsubmitted <= sqMask && inFlight + unsubmitted > 0) {
                int flags = IoUringConstants.IORING_ASYNC_CANCEL_ALL | IoUringConstants.IORING_ASYNC_CANCEL_ANY;
                put(IoUringConstants.IORING_OP_ASYNC_CANCEL, 0, -1, 0, 0, 0, flags, CANCEL);
                cancelled = true;
            }
            submit();
            complete(consumer);
            if (inFlight == 0 && unsubmitted == 0) {
                return true;
            }
            long left = end - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            // A request that the kernel had no memory for is tried again soon.
            await(unsubmitted > 0 ? Duration.ofMillis(1) : Duration.ofNanos(left));
        }
    }

    /**
     * Closes the ring while requests are under way: the kernel keeps what it needs until they have ended. Their buffers must stay where
     * they are.
     */
    public void abandon() {
        closeDescriptor(); // to take the files back would wait for the requests (before Linux 6.13)
    }

    @Override
    public void close() {
        if (filesRegistered && !fd.isClosed()) {
            // The kernel frees a ring some time after its descriptor; the files should not wait for that.
            Syscall.call(
                    capture,
                    Syscalls.SYS_io_uring_register,
                    fd.number(),
                    IoUringConstants.IORING_UNREGISTER_FILES,
                    0,
                    0,
                    0,
                    0);
        }
        closeDescriptor();
    }

    private void closeDescriptor() {
        if (fd.closeIfOpen()) {
            event.close();
            arena.close();
        }
    }

    @Override
    public String toString() {
        return "IoUring[" + fd + ", " + setup.sqEntries + "/" + setup.cqEntries + " entries, " + inFlight
                + " in flight, " + unsubmitted + " queued]";
    }
}
