package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Stream sockets of the local host (unix(7)) as descriptors, for loops that wait with epoll. */
public final class UnixSocket {
    private static final int AF_UNIX = 1; // linux/socket.h
    private static final int SOCK_STREAM = 1; // linux/net.h
    private static final int SOCK_NONBLOCK = 0x800; // O_NONBLOCK
    private static final int SOCK_CLOEXEC = 0x80000; // O_CLOEXEC

    /** struct sockaddr_un { sa_family_t sun_family; char sun_path[108]; }. */
    private static final int SIZEOF_SOCKADDR_UN = 110;

    private static final int OFFSETOF_SUN_PATH = 2;

    private UnixSocket() {}

    /**
     * Connects to a server.
     *
     * @return a descriptor that does not block
     * @throws LinuxException ENOENT if there is no such socket, ECONNREFUSED if nobody listens, EACCES without permission,
     *     ENAMETOOLONG if the path has more than 107 bytes
     */
    public static Fd connect(Path path) {
        byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        if (name.length >= SIZEOF_SOCKADDR_UN - OFFSETOF_SUN_PATH) {
            throw new LinuxException("connect to " + path, Errnos.ENAMETOOLONG);
        }
        long result = Syscall.call(Syscalls.SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        Fd fd = new Fd((int) LinuxException.check("socket", result), path.toString());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(SIZEOF_SOCKADDR_UN, Short.BYTES);
            address.set(ValueLayout.JAVA_SHORT, 0, (short) AF_UNIX);
            MemorySegment.copy(name, 0, address, ValueLayout.JAVA_BYTE, OFFSETOF_SUN_PATH, name.length);
            LinuxException.check(
                    "connect to " + path,
                    Syscall.call(Syscalls.SYS_connect, fd.number(), address.address(), SIZEOF_SOCKADDR_UN));
            return fd;
        } catch (RuntimeException e) {
            fd.close();
            throw e;
        }
    }
}
