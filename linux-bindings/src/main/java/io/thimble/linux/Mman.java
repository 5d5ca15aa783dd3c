package io.thimble.linux;

import io.thimble.linux.abi.MmanConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory mappings (mmap(2), munmap(2), madvise(2)) as memory segments: closing the arena unmaps. */
public final class Mman {
    /** The page size of x86-64, in bytes. */
    public static final int PAGE_SIZE = 4096;

    private Mman() {}

    /**
     * Maps {@code length} bytes.
     *
     * @param arena unmaps when it closes; whoever closes it makes sure that the kernel no longer uses the addresses
     * @param length bytes, more than zero
     * @param prot {@code PROT_*}
     * @param flags {@code MAP_*}
     * @param fd the file, or -1 with {@code MAP_ANONYMOUS}
     * @param offset of the file, a multiple of the page size
     * @throws LinuxException if the kernel refuses
     * @throws IllegalStateException if {@code arena} is closed
     */
    public static MemorySegment map(Arena arena, long length, int prot, int flags, int fd, long offset) {
        if (length <= 0) {
            throw new IllegalArgumentException("length: " + length);
        }
        long address = LinuxException.check(
                "mmap of " + length + " bytes", Syscall.call(Syscalls.SYS_mmap, 0, length, prot, flags, fd, offset));
        try {
            return MemorySegment.ofAddress(address)
                    .reinterpret(length, arena, s -> Syscall.call(Syscalls.SYS_munmap, address, length));
        } catch (RuntimeException e) {
            Syscall.call(Syscalls.SYS_munmap, address, length);
            throw e;
        }
    }

    /**
     * Maps anonymous, private, zeroed memory that takes no space until it is touched ({@code MAP_NORESERVE}).
     *
     * @throws LinuxException if the kernel refuses
     */
    public static MemorySegment anonymous(Arena arena, long length) {
        return map(
                arena,
                length,
                MmanConstants.PROT_READ | MmanConstants.PROT_WRITE,
                MmanConstants.MAP_PRIVATE | MmanConstants.MAP_ANONYMOUS | MmanConstants.MAP_NORESERVE,
                -1,
                0);
    }

    /** Maps a file shared, for reading and writing; parameters as in {@link #map}. */
    public static MemorySegment shared(Arena arena, Fd fd, long length, long offset) {
        return map(
                arena,
                length,
                MmanConstants.PROT_READ | MmanConstants.PROT_WRITE,
                MmanConstants.MAP_SHARED,
                fd.number(),
                offset);
    }

    /** Advises the kernel on the use of a mapping (madvise(2)); returns 0 or {@code -errno}. */
    public static long advise(MemorySegment mapping, int advice) {
        return Syscall.call(Syscalls.SYS_madvise, mapping.address(), mapping.byteSize(), advice);
    }
}
