package io.thimble.linux;

import io.thimble.linux.abi.FsConstants;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The requests of linux/fs.h to an open block device of the host; any thread may make them.
 *
 * <p>{@link FileIo#fallocate} discards ({@code FALLOC_FL_PUNCH_HOLE}) and zeroes ({@code FALLOC_FL_ZERO_RANGE}) on these as on files.
 */
public final class BlockDeviceIoctls {
    private BlockDeviceIoctls() {}

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
}
