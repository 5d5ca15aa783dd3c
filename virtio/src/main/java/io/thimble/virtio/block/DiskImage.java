package io.thimble.virtio.block;

import io.thimble.linux.BlockDeviceIoctls;
import io.thimble.linux.Errno;
import io.thimble.linux.Fd;
import io.thimble.linux.FileIo;
import io.thimble.linux.FileStatus;
import io.thimble.linux.LinuxException;
import io.thimble.linux.Syscall;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.Syscalls;
import java.nio.file.Path;

/**
 * A raw image, or a block device of the host, opened and locked: exclusively if it is writable, shared if it is read-only
 * ({@code F_OFD_SETLK}, so that two VMs of one process exclude each other as well, and QEMU too).
 *
 * <p>{@link #size}, {@link #grow} and the getters may be called from any thread; {@link #close} comes after the last use of
 * {@link #fd}, and ends the lock.
 */
public final class DiskImage implements AutoCloseable {
    /** The unit of the specification, in bytes (section 5.2.4). */
    public static final int SECTOR = 512;

    private static final int PAGE = 4096;

    private final Fd fd;
    private final String path;
    private final boolean readOnly;
    private final boolean direct;
    private final boolean blockDevice;
    private final int logicalBlockSize;
    private final int physicalBlockSize;
    private final int memoryAlign;

    private DiskImage(Fd fd, String path, boolean readOnly, boolean direct, int blockSize) {
        this.fd = fd;
        this.path = path;
        this.readOnly = readOnly;
        this.direct = direct;
        FileStatus status = FileStatus.of(fd);
        this.blockDevice = status.isBlockDevice();
        if (!blockDevice && !status.isRegularFile()) {
            throw new DiskImageException(path + ": neither a regular file nor a block device");
        }
        if (blockDevice && !readOnly && BlockDeviceIoctls.isReadOnly(fd)) {
            throw new DiskImageException(path + ": the device is read-only - use it read-only");
        }
        if (!FileIo.tryLock(fd, !readOnly)) {
            throw new DiskImageException(path + ": in use by another VM or process - "
                    + (readOnly
                            ? "end the one that writes to it"
                            : "end that one, or use the image read-only in both"));
        }
        int ioAlign = direct ? directAlignment(status) : 1;
        this.memoryAlign = direct && status.dioMemoryAlign() > 0 ? status.dioMemoryAlign() : ioAlign;
        int deviceBlock = blockDevice ? BlockDeviceIoctls.logicalBlockSize(fd) : SECTOR;
        int least = Math.max(SECTOR, Math.max(ioAlign, deviceBlock));
        if (blockSize != 0 && blockSize < least) {
            throw new DiskImageException(
                    path + ": blocks of " + blockSize + " bytes - the host needs at least " + least + " here");
        }
        this.logicalBlockSize = Math.max(blockSize, least);
        int physical = blockDevice ? BlockDeviceIoctls.physicalBlockSize(fd) : status.blockSize();
        this.physicalBlockSize =
                Math.max(logicalBlockSize, Integer.highestOneBit(Math.clamp(physical, SECTOR, 1 << 16)));
        long size = size();
        if (size == 0) {
            throw new DiskImageException(path + ": is empty - give it a size, for example: truncate -s 1G " + path);
        }
        if (size % logicalBlockSize != 0) {
            throw new DiskImageException(path + ": its " + size + " bytes are no multiple of " + logicalBlockSize
                    + " - make it longer: truncate -s %" + logicalBlockSize + " " + path);
        }
    }

    /**
     * Opens and locks an image.
     *
     * @param direct bypasses the host's page cache ({@code O_DIRECT})
     * @param blockSize the smallest unit of I/O for the guest in bytes, a power of 2 from 512 to 65536; 0 for the host's
     * @throws DiskImageException if it cannot be used, with the remedy
     */
    public static DiskImage open(Path path, boolean readOnly, boolean direct, int blockSize) {
        String name = path.toString();
        int flags = (readOnly ? FcntlConstants.O_RDONLY : FcntlConstants.O_RDWR)
                | (direct ? FcntlConstants.O_DIRECT : 0)
                // A named pipe must not hold up the caller until somebody writes to it.
                | FcntlConstants.O_NONBLOCK;
        Fd fd;
        try {
            fd = Fd.open(name, flags);
        } catch (LinuxException e) {
            throw new DiskImageException(
                    name + ": " + Errno.describe(e.errno()) + " - " + remedy(name, e.errno(), direct), e);
        }
        try {
            // Only the open must not wait: an operation that would wait is no error.
            LinuxException.check(
                    "fcntl of " + fd,
                    Syscall.call(
                            Syscalls.SYS_fcntl,
                            fd.number(),
                            FcntlConstants.F_SETFL,
                            direct ? FcntlConstants.O_DIRECT : 0));
            return new DiskImage(fd, name, readOnly, direct, blockSize);
        } catch (LinuxException e) {
            fd.close();
            throw new DiskImageException(String.valueOf(e.getMessage()), e);
        } catch (RuntimeException e) {
            fd.close();
            throw e;
        }
    }

    private static String remedy(String path, int errno, boolean direct) {
        return switch (errno) {
            case Errnos.ENOENT -> "create it, for example: truncate -s 1G " + path;
            case Errnos.EACCES, Errnos.EPERM ->
                "give this user access to it, or use it read-only if reading is allowed";
            case Errnos.EROFS -> "use it read-only";
            case Errnos.EISDIR -> "name a file or block device";
            case Errnos.EBUSY -> "the device is mounted or in use: unmount it first";
            case Errnos.EINVAL -> direct ? "its file system has no direct I/O: leave direct out" : "check the path";
            default -> "check the path and the host's storage";
        };
    }

    /** Returns the multiple of bytes in which direct I/O works here; asks by reading where statx(2) does not say. */
    private int directAlignment(FileStatus status) {
        if (status.dioOffsetAlign() > 0) {
            return status.dioOffsetAlign();
        }
        if (blockDevice) {
            return BlockDeviceIoctls.logicalBlockSize(fd);
        }
        return DirectProbe.reads(fd, SECTOR) ? SECTOR : PAGE;
    }

    /** Returns the descriptor for I/O; this object keeps owning it. */
    Fd fd() {
        return fd;
    }

    /** Returns the path it was opened by. */
    public String path() {
        return path;
    }

    /** Tells whether it must not be written. */
    public boolean isReadOnly() {
        return readOnly;
    }

    /** Tells whether I/O bypasses the host's page cache. */
    public boolean isDirect() {
        return direct;
    }

    /** Tells whether it is a block device. */
    public boolean isBlockDevice() {
        return blockDevice;
    }

    /** Returns the smallest unit of I/O in bytes, a power of 2 from 512 on. */
    public int logicalBlockSize() {
        return logicalBlockSize;
    }

    /** Returns the smallest unit in bytes that is written without reading first, a power of 2. */
    public int physicalBlockSize() {
        return physicalBlockSize;
    }

    /** Returns what addresses and lengths of buffers must be multiples of, in bytes; 1 without direct I/O. */
    int memoryAlign() {
        return memoryAlign;
    }

    /**
     * Returns the size in bytes that it has now.
     *
     * @throws LinuxException if the kernel cannot tell
     */
    public long size() {
        return blockDevice ? BlockDeviceIoctls.size(fd) : FileStatus.of(fd).size();
    }

    /**
     * Makes a file longer; the new part reads as zeros and takes no space yet.
     *
     * @param bytes the new size, a multiple of {@link #logicalBlockSize}
     * @throws DiskImageException if it cannot grow to that size, with the remedy
     */
    public void grow(long bytes) {
        if (blockDevice || readOnly) {
            throw new DiskImageException(path + ": only writable files can be grown from here - resize the "
                    + (blockDevice ? "device" : "file") + " on the host, then rescan");
        }
        long size = size();
        if (bytes < size || bytes % logicalBlockSize != 0) {
            throw new DiskImageException(path + ": cannot grow from " + size + " to " + bytes
                    + " bytes - name a larger multiple of " + logicalBlockSize);
        }
        long result = FileIo.ftruncate(fd, bytes);
        if (result < 0) {
            throw new DiskImageException(
                    path + ": cannot grow to " + bytes + " bytes: " + Errno.describe((int) -result));
        }
    }

    /** Ends the lock and closes the image, whose I/O has ended. */
    @Override
    public void close() {
        if (!fd.isClosed()) {
            // The kernel may keep the open file for a while after the descriptor is gone, and the lock with it.
            FileIo.unlock(fd);
        }
        fd.close();
    }

    /** Closes the image while I/O is still under way: the lock goes when that has ended. */
    void abandon() {
        fd.close();
    }

    @Override
    public String toString() {
        return path + (readOnly ? " (read-only)" : "") + (direct ? " (direct)" : "");
    }
}
