package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.IoCqringOffsetsLayout;
import io.thimble.linux.abi.IoSqringOffsetsLayout;
import io.thimble.linux.abi.IoUringConstants;
import io.thimble.linux.abi.IoUringCqeLayout;
import io.thimble.linux.abi.IoUringParamsLayout;
import io.thimble.linux.abi.IoUringProbeLayout;
import io.thimble.linux.abi.IoUringProbeOpLayout;
import io.thimble.linux.abi.IoUringSqeLayout;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;

/**
 * Creates a ring (io_uring_setup(2)) with the best flags that the kernel knows, and maps it.
 *
 * <pre>
 * struct io_uring_params { __u32 sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
 *                          struct io_sqring_offsets sq_off; struct io_cqring_offsets cq_off; };   (linux/io_uring.h)
 * </pre>
 */
final class IoUringSetup {
    /**
     * Best first. Deferred task work (Linux 6.1) runs completions only when the submitter asks for them, which saves an
     * interruption a request; cooperative task work is 5.19's; the last works from the beginning. Where completions wait to
     * be asked for, a flag in the ring says so, which costs no system call to see.
     */
    private static final int[] FLAGS = {
        IoUringConstants.IORING_SETUP_R_DISABLED
                | IoUringConstants.IORING_SETUP_SUBMIT_ALL
                | IoUringConstants.IORING_SETUP_SINGLE_ISSUER
                | IoUringConstants.IORING_SETUP_DEFER_TASKRUN
                | IoUringConstants.IORING_SETUP_TASKRUN_FLAG,
        IoUringConstants.IORING_SETUP_SUBMIT_ALL
                | IoUringConstants.IORING_SETUP_COOP_TASKRUN
                | IoUringConstants.IORING_SETUP_TASKRUN_FLAG,
        0,
    };

    /** Completions are never dropped, and what a request points to may be reused once it is submitted (5.5). */
    private static final int NEEDED = IoUringConstants.IORING_FEAT_SINGLE_MMAP
            | IoUringConstants.IORING_FEAT_NODROP
            | IoUringConstants.IORING_FEAT_SUBMIT_STABLE;

    private static final int PROBE_OPS = 256;

    private static final String REMEDY =
            "io_uring needs Linux 5.6, kernel.io_uring_disabled = 0 and a sandbox that lets"
                    + " it through; without it choose another engine";

    final Fd fd;
    final int flags;
    final int features;
    final int sqEntries;
    final int cqEntries;
    final MemorySegment rings;
    final MemorySegment sqes;
    final long sqHead;
    final long sqTail;
    final long sqFlags;
    final long cqHead;
    final long cqTail;
    final long cqFlags;
    final long cqes;

    /** Maps into {@code arena}, which the caller closes when this throws. */
    IoUringSetup(Arena arena, String name, int entries) {
        MemorySegment params = arena.allocate(IoUringParamsLayout.SIZEOF, Long.BYTES);
        fd = create(params, name, entries);
        try {
            flags = params.get(ValueLayout.JAVA_INT, IoUringParamsLayout.OFFSETOF_FLAGS);
            features = params.get(ValueLayout.JAVA_INT, IoUringParamsLayout.OFFSETOF_FEATURES);
            if ((features & NEEDED) != NEEDED) {
                throw new LinuxException("io_uring for " + name, Errnos.ENOSYS, REMEDY);
            }
            sqEntries = params.get(ValueLayout.JAVA_INT, IoUringParamsLayout.OFFSETOF_SQ_ENTRIES);
            cqEntries = params.get(ValueLayout.JAVA_INT, IoUringParamsLayout.OFFSETOF_CQ_ENTRIES);
            sqHead = sqOffset(params, IoSqringOffsetsLayout.OFFSETOF_HEAD);
            sqTail = sqOffset(params, IoSqringOffsetsLayout.OFFSETOF_TAIL);
            sqFlags = sqOffset(params, IoSqringOffsetsLayout.OFFSETOF_FLAGS);
            cqHead = cqOffset(params, IoCqringOffsetsLayout.OFFSETOF_HEAD);
            cqTail = cqOffset(params, IoCqringOffsetsLayout.OFFSETOF_TAIL);
            cqFlags = cqOffset(params, IoCqringOffsetsLayout.OFFSETOF_FLAGS);
            cqes = cqOffset(params, IoCqringOffsetsLayout.OFFSETOF_CQES);
            long array = sqOffset(params, IoSqringOffsetsLayout.OFFSETOF_ARRAY);
            long size = Math.max(cqes + cqEntries * IoUringCqeLayout.SIZEOF, array + (long) sqEntries * Integer.BYTES);
            rings = Mman.shared(arena, fd, size, IoUringConstants.IORING_OFF_SQ_RING);
            sqes = Mman.shared(arena, fd, sqEntries * IoUringSqeLayout.SIZEOF, IoUringConstants.IORING_OFF_SQES);
            // Slot i of the ring always means entry i.
            for (int i = 0; i < sqEntries; i++) {
                rings.set(ValueLayout.JAVA_INT, array + (long) i * Integer.BYTES, i);
            }
        } catch (RuntimeException e) {
            fd.close();
            throw e;
        }
    }

    private static long sqOffset(MemorySegment params, long field) {
        return Integer.toUnsignedLong(params.get(ValueLayout.JAVA_INT, IoUringParamsLayout.OFFSETOF_SQ_OFF + field));
    }

    private static long cqOffset(MemorySegment params, long field) {
        return Integer.toUnsignedLong(params.get(ValueLayout.JAVA_INT, IoUringParamsLayout.OFFSETOF_CQ_OFF + field));
    }

    private static Fd create(MemorySegment params, String name, int entries) {
        long result = -Errnos.EINVAL;
        for (int i = 0; i < FLAGS.length && result == -Errnos.EINVAL; i++) {
            params.fill((byte) 0);
            params.set(
                    ValueLayout.JAVA_INT,
                    IoUringParamsLayout.OFFSETOF_FLAGS,
                    FLAGS[i] | IoUringConstants.IORING_SETUP_CLAMP);
            result = Syscall.call(Syscalls.SYS_io_uring_setup, entries, params.address());
        }
        if (result < 0) {
            throw new LinuxException("io_uring for " + name, (int) -result, REMEDY);
        }
        return new Fd((int) result, name);
    }

    /**
     * Asks which operations the kernel supports.
     *
     * <pre>
     * struct io_uring_probe { __u8 last_op, ops_len; __u16 resv; __u32 resv2[3]; struct io_uring_probe_op ops[]; };
     * struct io_uring_probe_op { __u8 op, resv; __u16 flags; __u32 resv2; };
     * </pre>
     */
    static BitSet supportedOps(Fd ring) {
        BitSet supported = new BitSet(PROBE_OPS);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment probe = arena.allocate(
                    IoUringProbeLayout.OFFSETOF_OPS + PROBE_OPS * IoUringProbeOpLayout.SIZEOF, Long.BYTES);
            LinuxException.check(
                    "io_uring_register(IORING_REGISTER_PROBE) of " + ring,
                    Syscall.call(
                            Syscalls.SYS_io_uring_register,
                            ring.number(),
                            IoUringConstants.IORING_REGISTER_PROBE,
                            probe.address(),
                            PROBE_OPS));
            int count = Byte.toUnsignedInt(probe.get(ValueLayout.JAVA_BYTE, IoUringProbeLayout.OFFSETOF_OPS_LEN));
            for (int op = 0; op < count; op++) {
                long at = IoUringProbeLayout.OFFSETOF_OPS + op * IoUringProbeOpLayout.SIZEOF;
                int opFlags = probe.get(ValueLayout.JAVA_SHORT, at + IoUringProbeOpLayout.OFFSETOF_FLAGS);
                supported.set(op, (opFlags & IoUringConstants.IO_URING_OP_SUPPORTED) != 0);
            }
        }
        return supported;
    }
}
