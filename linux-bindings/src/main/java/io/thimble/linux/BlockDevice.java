package io.thimble.linux;

import io.thimble.linux.abi.FsConstants;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The requests of linux/fs.h to an open block device of the host; any thread may make them. */
public final class BlockDevice {
    private BlockDevice() {}

    /** Returns its size in bytes ({@code BLKGETSIZE64}). */
    public static long size(Fd fd) {
        return longOf(fd, "BLKGETSIZE64", FsConstants.BLKGETSIZE64);
    }

    /** Returns the size in bytes of the smallest block it can address ({@code BLKSSZGET}). */
    public static int logicalBlockSize(Fd fd) {
        return (int) longOf(fd, "BLKSSZGET", FsConstants.BLKSSZGET);
    }

    /** Returns the size in bytes of the smallest block it writes without reading first ({@code BLKPBSZGET}). */
    public static int physicalBlockSize(Fd fd) {
        return (int) longOf(fd, "BLKPBSZGET", FsConstants.BLKPBSZGET);
    }

    /** Tells whether it refuses writes ({@code BLKROGET}). */
    public static boolean isReadOnly(Fd fd) {
        return longOf(fd, "BLKROGET", FsConstants.BLKROGET) != 0;
    }

    private static long longOf(Fd fd, String name, long request) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_LONG);
            LinuxException.check(name + " of " + fd, Syscall.ioctl(fd.number(), request, value.address()));
            return value.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /**
     * Says that a range holds nothing worth keeping ({@code BLKDISCARD}).
     *
     * @param range two longs that this call fills, {@code { start, length }}
     * @return 0 or {@code -errno}
     */
    public static long discard(Fd fd, MemorySegment range, long offset, long length) {
        return onRange(fd, FsConstants.BLKDISCARD, range, offset, length);
    }

    /** Zeroes a range, by the device itself where it can ({@code BLKZEROOUT}); as {@link #discard}. */
    public static long zeroOut(Fd fd, MemorySegment range, long offset, long length) {
        return onRange(fd, FsConstants.BLKZEROOUT, range, offset, length);
    }

    private static long onRange(Fd fd, long request, MemorySegment range, long offset, long length) {
        range.set(ValueLayout.JAVA_LONG, 0, offset);
        range.set(ValueLayout.JAVA_LONG, Long.BYTES, length);
        return Syscall.ioctl(fd.number(), request, range.address());
    }
}
