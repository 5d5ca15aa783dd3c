package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.Flock64Layout;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Positioned input and output on files and block devices, by host addresses. Unless said otherwise, results are the
 * system call's: zero or more, or {@code -errno}; a call that a signal interrupted is made again. Nothing allocates.
 */
public final class FileIo {
    private FileIo() {}

    /** Reads at {@code offset} into {@code count} iovecs (preadv(2)); returns the bytes read, 0 at the end. */
    public static long preadv(Fd fd, long iovecs, int count, long offset) {
        long result;
        do {
            result = Syscall.call(Syscalls.SYS_preadv, fd.number(), iovecs, count, offset, 0, 0);
        } while (result == -Errnos.EINTR);
        return result;
    }

    /** Writes {@code count} iovecs at {@code offset} (pwritev2(2)) with {@code RWF_*} flags; returns the bytes written. */
    public static long pwritev(Fd fd, long iovecs, int count, long offset, int rwFlags) {
        long result;
        do {
            result = rwFlags == 0
                    ? Syscall.call(Syscalls.SYS_pwritev, fd.number(), iovecs, count, offset, 0, 0)
                    : Syscall.call(Syscalls.SYS_pwritev2, fd.number(), iovecs, count, offset, 0, rwFlags);
        } while (result == -Errnos.EINTR);
        return result;
    }

    /** Writes data and metadata to the disk (fsync(2)). */
    public static long fsync(Fd fd) {
        return retried(Syscalls.SYS_fsync, fd, 0, 0, 0);
    }

    /** Writes data, and the metadata needed to read it, to the disk (fdatasync(2)). */
    public static long fdatasync(Fd fd) {
        return retried(Syscalls.SYS_fdatasync, fd, 0, 0, 0);
    }

    /** Allocates, zeroes or frees a range (fallocate(2)); {@code mode} is {@code FALLOC_FL_*}. */
    public static long fallocate(Fd fd, int mode, long offset, long length) {
        return retried(Syscalls.SYS_fallocate, fd, mode, offset, length);
    }

    /** Sets the size of a file (ftruncate(2)). */
    public static long ftruncate(Fd fd, long length) {
        return retried(Syscalls.SYS_ftruncate, fd, length, 0, 0);
    }

    private static long retried(long nr, Fd fd, long a1, long a2, long a3) {
        long result;
        do {
            result = Syscall.call(nr, fd.number(), a1, a2, a3);
        } while (result == -Errnos.EINTR);
        return result;
    }

    /**
     * Tries to lock the whole file without waiting ({@code F_OFD_SETLK}). The lock belongs to this open of the file: it
     * excludes other opens, in this process as in others, and ends when the descriptor is closed. A descriptor's shared
     * lock can become exclusive, and the other way, by a second call.
     *
     * @param exclusive needs a descriptor open for writing; a shared lock needs one open for reading
     * @return false if somebody else holds a lock that excludes this one
     * @throws LinuxException if the file system has no locks, or the descriptor's mode does not fit
     */
    public static boolean tryLock(Fd fd, boolean exclusive) {
        long result = setLock(fd, exclusive ? FcntlConstants.F_WRLCK : FcntlConstants.F_RDLCK);
        if (result == -Errnos.EAGAIN || result == -Errnos.EACCES) {
            return false;
        }
        LinuxException.check("lock of " + fd, result);
        return true;
    }

    /** Releases the lock of {@link #tryLock}. */
    public static void unlock(Fd fd) {
        LinuxException.check("unlock of " + fd, setLock(fd, FcntlConstants.F_UNLCK));
    }

    /** {@code struct flock { short l_type, l_whence; off_t l_start, l_len; pid_t l_pid; }}: length 0 is to the end. */
    private static long setLock(Fd fd, int type) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment lock = arena.allocate(Flock64Layout.SIZEOF, Long.BYTES);
            lock.set(ValueLayout.JAVA_SHORT, Flock64Layout.OFFSETOF_L_TYPE, (short) type);
            return Syscall.call(Syscalls.SYS_fcntl, fd.number(), FcntlConstants.F_OFD_SETLK, lock.address());
        }
    }
}
