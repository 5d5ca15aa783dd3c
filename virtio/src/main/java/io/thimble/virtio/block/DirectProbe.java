package io.thimble.virtio.block;

import io.thimble.linux.Fd;
import io.thimble.linux.FileIo;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.IovecLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Finds out by reading what direct I/O takes, on kernels and file systems that do not say it. */
final class DirectProbe {
    private static final int PAGE = 4096;

    private DirectProbe() {}

    /** Tells whether {@code length} bytes can be read by themselves. */
    static boolean reads(Fd fd, int length) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PAGE, PAGE);
            MemorySegment iovec = arena.allocate(IovecLayout.SIZEOF, Long.BYTES);
            iovec.set(ValueLayout.JAVA_LONG, IovecLayout.OFFSETOF_IOV_BASE, buffer.address());
            iovec.set(ValueLayout.JAVA_LONG, IovecLayout.OFFSETOF_IOV_LEN, length);
            return FileIo.preadv(fd, iovec.address(), 1, 0) != -Errnos.EINVAL;
        }
    }
}
