package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.Syscalls;
import io.thimble.linux.abi.TimespecLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A directory by its descriptor, for entries whose names somebody else has chosen. Each name is one component and is looked up in
 * this directory alone; no symbolic link is followed. So nothing outside can be reached, whatever else changes the file system
 * meanwhile. Names are bytes, as they are to Linux.
 *
 * <p>Not thread-safe.
 */
public final class Directory implements AutoCloseable {
    /** Most bytes of a name ({@code NAME_MAX}, linux/limits.h). */
    public static final int NAME_MAX = 255;

    private static final int NEW_FILE_MODE = 0600;
    private static final int NEW_DIRECTORY_MODE = 0700;

    /** {@code UTIME_OMIT}, linux/stat.h: leave this time as it is. */
    private static final long UTIME_OMIT = (1L << 30) - 2;

    private final Fd fd;

    private Directory(Fd fd) {
        this.fd = fd;
    }

    /**
     * Opens a directory of this process's own choice: links in its path are followed.
     *
     * @throws LinuxException if there is none
     */
    public static Directory open(String path) {
        return new Directory(Fd.open(path, FcntlConstants.O_RDONLY | FcntlConstants.O_DIRECTORY));
    }

    /** Tells whether a name is one component that means an entry: not empty, at most 255 bytes, no slash, no NUL, no dots alone. */
    public static boolean isName(byte[] name) {
        if (name.length == 0 || name.length > NAME_MAX) {
            return false;
        }
        boolean onlyDots = name.length <= 2;
        for (byte b : name) {
            if (b == 0 || b == '/') {
                return false;
            }
            onlyDots &= b == '.';
        }
        return !onlyDots;
    }

    private static MemorySegment cName(Arena arena, byte[] name) {
        if (!isName(name)) {
            throw new IllegalArgumentException("no name of a directory's entry");
        }
        return cString(arena, name);
    }

    private static MemorySegment cString(Arena arena, byte[] text) {
        MemorySegment segment = arena.allocate(text.length + 1L);
        MemorySegment.copy(text, 0, segment, ValueLayout.JAVA_BYTE, 0, text.length);
        return segment;
    }

    private Fd openEntry(byte[] name, String operation, int flags, int mode) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment cName = cName(arena, name);
            int all = flags | FcntlConstants.O_NOFOLLOW | FcntlConstants.O_CLOEXEC;
            long result;
            do {
                result = Syscall.call(Syscalls.SYS_openat, fd.number(), cName.address(), all, mode);
            } while (result == -Errnos.EINTR);
            return new Fd((int) LinuxException.check(operation, result), operation);
        }
    }

    /**
     * Opens a directory in here, which is made (mode 0700) if nothing has its name.
     *
     * @throws LinuxException {@code ENOTDIR} or {@code ELOOP} if something else has its name
     */
    public Directory makeDirectory(byte[] name) {
        try (Arena arena = Arena.ofConfined()) {
            long result = Syscall.call(
                    Syscalls.SYS_mkdirat, fd.number(), cName(arena, name).address(), NEW_DIRECTORY_MODE);
            if (result != -Errnos.EEXIST) {
                LinuxException.check("mkdir", result);
            }
        }
        return new Directory(
                openEntry(name, "open directory", FcntlConstants.O_RDONLY | FcntlConstants.O_DIRECTORY, 0));
    }

    /**
     * Creates a file (mode 0600) in the place of what has its name, a directory excepted, and opens it for writing.
     *
     * @throws LinuxException {@code EISDIR} if a directory has its name
     */
    public Fd makeFile(byte[] name) {
        remove(name);
        int flags = FcntlConstants.O_WRONLY | FcntlConstants.O_CREAT | FcntlConstants.O_EXCL;
        return openEntry(name, "create file", flags, NEW_FILE_MODE);
    }

    /**
     * Creates a symbolic link in the place of what has its name, a directory excepted.
     *
     * @param target any bytes but NUL, 1 to 4095
     * @throws LinuxException {@code EISDIR} if a directory has its name
     */
    public void makeLink(byte[] name, byte[] target, long modifiedSeconds, int modifiedNanos) {
        remove(name);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment cName = cName(arena, name);
            MemorySegment cTarget = cString(arena, target);
            LinuxException.check(
                    "symlink", Syscall.call(Syscalls.SYS_symlinkat, cTarget.address(), fd.number(), cName.address()));
            setModified(arena, fd.number(), cName.address(), modifiedSeconds, modifiedNanos);
        }
    }

    private void remove(byte[] name) {
        try (Arena arena = Arena.ofConfined()) {
            long result = Syscall.call(
                    Syscalls.SYS_unlinkat, fd.number(), cName(arena, name).address(), 0);
            if (result != -Errnos.ENOENT) {
                LinuxException.check("remove the old one", result);
            }
        }
    }

    private static void setModified(Arena arena, int directory, long name, long seconds, int nanos) {
        MemorySegment times = arena.allocate(2 * TimespecLayout.SIZEOF, Long.BYTES);
        times.set(ValueLayout.JAVA_LONG, TimespecLayout.OFFSETOF_TV_NSEC, UTIME_OMIT);
        times.set(ValueLayout.JAVA_LONG, TimespecLayout.SIZEOF + TimespecLayout.OFFSETOF_TV_SEC, seconds);
        times.set(ValueLayout.JAVA_LONG, TimespecLayout.SIZEOF + TimespecLayout.OFFSETOF_TV_NSEC, nanos);
        int flags = name == 0 ? 0 : FcntlConstants.AT_SYMLINK_NOFOLLOW;
        LinuxException.check(
                "set times", Syscall.call(Syscalls.SYS_utimensat, directory, name, times.address(), flags));
    }

    /** Sets permissions and time of modification of an open file or directory. */
    private static void setAttributes(Fd file, int permissions, long modifiedSeconds, int modifiedNanos) {
        LinuxException.check("chmod", Syscall.call(Syscalls.SYS_fchmod, file.number(), permissions));
        try (Arena arena = Arena.ofConfined()) {
            setModified(arena, file.number(), 0, modifiedSeconds, modifiedNanos);
        }
    }

    /** Sets the permissions and the time of modification of a file that is complete, and closes it. */
    public static void finish(Fd file, int permissions, long modifiedSeconds, int modifiedNanos) {
        try (file) {
            setAttributes(file, permissions, modifiedSeconds, modifiedNanos);
        }
    }

    /** Sets the permissions and the time of modification of this directory, which is complete, and closes it. */
    public void finish(int permissions, long modifiedSeconds, int modifiedNanos) {
        finish(fd, permissions, modifiedSeconds, modifiedNanos);
    }

    @Override
    public void close() {
        fd.close();
    }
}
