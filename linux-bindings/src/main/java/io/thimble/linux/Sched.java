package io.thimble.linux;

import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;

/** On which CPUs the calling thread may run (sched_setaffinity(2)). */
public final class Sched {
    private static final int MAX_CPUS = 8192;

    private Sched() {}

    /**
     * Binds the calling thread to the CPUs whose bits are set.
     *
     * @throws LinuxException {@code EINVAL} if none of them is online
     */
    public static void setAffinity(BitSet cpus) {
        byte[] bits = cpus.toByteArray();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mask = arena.allocate(Math.max(MAX_CPUS / Byte.SIZE, bits.length), Long.BYTES);
            MemorySegment.copy(bits, 0, mask, ValueLayout.JAVA_BYTE, 0, bits.length);
            LinuxException.check(
                    "sched_setaffinity to " + cpus,
                    Syscall.call(Syscalls.SYS_sched_setaffinity, 0, mask.byteSize(), mask.address()));
        }
    }

    /** Returns the CPUs that the calling thread may run on. */
    public static BitSet affinity() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mask = arena.allocate(MAX_CPUS / Byte.SIZE, Long.BYTES);
            long bytes = LinuxException.check(
                    "sched_getaffinity",
                    Syscall.call(Syscalls.SYS_sched_getaffinity, 0, mask.byteSize(), mask.address()));
            return BitSet.valueOf(mask.asSlice(0, bytes).toArray(ValueLayout.JAVA_BYTE));
        }
    }
}
