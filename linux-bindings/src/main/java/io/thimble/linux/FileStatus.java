package io.thimble.linux;

import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.StatConstants;
import io.thimble.linux.abi.StatxLayout;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What statx(2) tells about an open file.
 *
 * @param mode type and permissions, {@code S_IF*} among them
 * @param size in bytes; 0 for a block device
 * @param allocated the bytes that the file takes on its file system
 * @param blockSize the file system's preferred size of I/O, in bytes
 * @param links how many names the file has; 0 once it is deleted
 * @param dioMemoryAlign what a buffer's address must be a multiple of with {@code O_DIRECT}; 0 if not known or impossible
 * @param dioOffsetAlign what offset and length must be multiples of with {@code O_DIRECT}; likewise
 */
public record FileStatus(
        int mode, long size, long allocated, int blockSize, int links, int dioMemoryAlign, int dioOffsetAlign) {
    /** The unit of {@code stx_blocks}. */
    private static final int BLOCK = 512;

    /**
     * Asks the kernel.
     *
     * @throws LinuxException if it cannot tell
     */
    public static FileStatus of(Fd fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment statx = arena.allocate(StatxLayout.SIZEOF, Long.BYTES);
            MemorySegment path = arena.allocateFrom("");
            LinuxException.check(
                    "statx of " + fd,
                    Syscall.call(
                            Syscalls.SYS_statx,
                            fd.number(),
                            path.address(),
                            FcntlConstants.AT_EMPTY_PATH,
                            StatConstants.STATX_BASIC_STATS | StatConstants.STATX_DIOALIGN,
                            statx.address(),
                            0));
            return new FileStatus(
                    statx.get(ValueLayout.JAVA_SHORT, StatxLayout.OFFSETOF_STX_MODE) & 0xffff,
                    statx.get(ValueLayout.JAVA_LONG, StatxLayout.OFFSETOF_STX_SIZE),
                    statx.get(ValueLayout.JAVA_LONG, StatxLayout.OFFSETOF_STX_BLOCKS) * BLOCK,
                    statx.get(ValueLayout.JAVA_INT, StatxLayout.OFFSETOF_STX_BLKSIZE),
                    statx.get(ValueLayout.JAVA_INT, StatxLayout.OFFSETOF_STX_NLINK),
                    statx.get(ValueLayout.JAVA_INT, StatxLayout.OFFSETOF_STX_DIO_MEM_ALIGN),
                    statx.get(ValueLayout.JAVA_INT, StatxLayout.OFFSETOF_STX_DIO_OFFSET_ALIGN));
        }
    }

    /** Tells whether it is a regular file. */
    public boolean isRegularFile() {
        return (mode & StatConstants.S_IFMT) == StatConstants.S_IFREG;
    }

    /** Tells whether it is a block device. */
    public boolean isBlockDevice() {
        return (mode & StatConstants.S_IFMT) == StatConstants.S_IFBLK;
    }
}
