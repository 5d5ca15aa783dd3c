package io.thimble.linux;

import io.thimble.linux.abi.MemfdConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;

/** Files that live in memory only (memfd_create(2)). */
public final class MemFd {
    private MemFd() {}

    /**
     * Creates a file of {@code length} zero bytes that takes no space until it is touched.
     *
     * @param name for {@code /proc/PID/fd}; at most 249 bytes
     * @throws LinuxException if the kernel refuses
     */
    public static Fd create(String name, long length) {
        try (Arena arena = Arena.ofConfined()) {
            Fd fd = new Fd(
                    (int) LinuxException.check(
                            "memfd_create " + name,
                            Syscall.call(
                                    Syscalls.SYS_memfd_create,
                                    arena.allocateFrom(name).address(),
                                    MemfdConstants.MFD_CLOEXEC)),
                    name);
            try {
                LinuxException.check(
                        "ftruncate of " + name + " to " + length + " bytes",
                        Syscall.call(Syscalls.SYS_ftruncate, fd.number(), length));
            } catch (LinuxException e) {
                fd.close();
                throw e;
            }
            return fd;
        }
    }
}
