package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.PollConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * Stream sockets with names in the file system (unix(7)), non-blocking, for a thread that waits with {@link Epoll}: the JDK's
 * channels hide their descriptors. Constants are those of {@code <sys/socket.h>} and {@code <sys/un.h>}.
 *
 * <p>Holds memory for the calls' arguments, so one thread at a time uses it. {@link #close} comes after the last use.
 */
public final class UnixSockets implements AutoCloseable {
    /** The longest path, in bytes: {@code sizeof(sun_path)} without the NUL. */
    public static final int MAX_PATH = 107;

    private static final int AF_UNIX = 1;
    private static final int SOCK_STREAM = 1;
    private static final int SOCK_NONBLOCK = 0x800;
    private static final int SOCK_CLOEXEC = 0x80000;
    private static final int SHUT_RD = 0;
    private static final int SHUT_WR = 1;
    private static final int MSG_PEEK = 2;
    private static final int MSG_NOSIGNAL = 0x4000;

    /** struct sockaddr_un { sa_family_t sun_family; char sun_path[108]; }. */
    private static final int SOCKADDR_UN_SIZE = 110;

    private static final int OFFSETOF_SUN_PATH = 2;

    /** struct msghdr: name, namelen, iov at 16, iovlen at 24, control, controllen, flags. */
    private static final int MSGHDR_SIZE = 56;

    private static final int OFFSETOF_MSG_IOV = 16;
    private static final int OFFSETOF_MSG_IOVLEN = 24;

    /** struct pollfd { int fd; short events; short revents; }. */
    private static final int OFFSETOF_REVENTS = 6;

    private static final int LINE_BUFFER = 256;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment address = arena.allocate(SOCKADDR_UN_SIZE, Short.BYTES);
    private final MemorySegment message = arena.allocate(MSGHDR_SIZE, Long.BYTES);
    private final MemorySegment vector = arena.allocate(2L * Long.BYTES, Long.BYTES);
    private final MemorySegment pollFd = arena.allocate(Long.BYTES, Integer.BYTES);
    private final MemorySegment line = arena.allocate(LINE_BUFFER);
    private boolean closed;

    /** Allocates the memory. */
    public UnixSockets() {}

    private static Fd socket(String name) {
        long result = Syscall.call(Syscalls.SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        return new Fd((int) LinuxException.check("socket for " + name, result), name);
    }

    /** Fills in the address; returns its length. */
    private long setAddress(String path) {
        byte[] bytes = path.getBytes(StandardCharsets.UTF_8);
        if (bytes.length == 0 || bytes.length > MAX_PATH) {
            throw new LinuxException(
                    "socket path " + path,
                    Errnos.ENAMETOOLONG,
                    "use at most " + MAX_PATH + " bytes, and a shorter path");
        }
        address.fill((byte) 0);
        address.set(ValueLayout.JAVA_SHORT, 0, (short) AF_UNIX);
        MemorySegment.copy(bytes, 0, address, ValueLayout.JAVA_BYTE, OFFSETOF_SUN_PATH, bytes.length);
        return OFFSETOF_SUN_PATH + bytes.length + 1L;
    }

    /**
     * Makes a socket in the file system and listens.
     *
     * @param permissions of the file, from its first moment, for example 0600
     * @param backlog how many connections may wait to be accepted
     * @throws LinuxException with the path and the error; EADDRINUSE if there is such a file
     */
    public Fd listen(String path, int permissions, int backlog) {
        Fd fd = socket(path);
        try {
            // Before bind(2), this sets the mode that the file will be made with.
            LinuxException.check(path, Syscall.call(Syscalls.SYS_fchmod, fd.number(), permissions));
            LinuxException.check(
                    path, Syscall.call(Syscalls.SYS_bind, fd.number(), address.address(), setAddress(path)));
            LinuxException.check(path, Syscall.call(Syscalls.SYS_listen, fd.number(), backlog));
            return fd;
        } catch (RuntimeException e) {
            fd.close();
            throw e;
        }
    }

    /**
     * Connects to a socket in the file system, which happens at once or not at all.
     *
     * @throws LinuxException with the path and the error: ENOENT, ECONNREFUSED if nobody listens, EAGAIN if too many wait
     */
    public Fd connect(String path) {
        Fd fd = socket(path);
        try {
            LinuxException.check(
                    path, Syscall.call(Syscalls.SYS_connect, fd.number(), address.address(), setAddress(path)));
            return fd;
        } catch (RuntimeException e) {
            fd.close();
            throw e;
        }
    }

    /**
     * Accepts a connection.
     *
     * @return empty if none waits
     * @throws LinuxException if no descriptor is left, for example
     */
    public Optional<Fd> accept(Fd listener) {
        long result = Syscall.call(Syscalls.SYS_accept4, listener.number(), 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (result == -Errnos.EAGAIN || result == -Errnos.ECONNABORTED || result == -Errnos.EINTR) {
            return Optional.empty();
        }
        int number = (int) LinuxException.check("accept on " + listener.name(), result);
        return Optional.of(new Fd(number, "connection to " + listener.name()));
    }

    /**
     * Receives into an array of {@code struct iovec}.
     *
     * @param vectors its address
     * @return how many bytes, 0 at the end, {@code -errno}: EAGAIN if there is nothing
     */
    public long receive(Fd fd, long vectors, int count) {
        return Syscall.call(Syscalls.SYS_readv, fd.number(), vectors, count);
    }

    /**
     * Sends what an array of {@code struct iovec} describes; raises no signal.
     *
     * @param vectors its address
     * @return how many bytes were taken, or {@code -errno}: EAGAIN if there is no room
     */
    public long send(Fd fd, long vectors, int count) {
        message.set(ValueLayout.JAVA_LONG, OFFSETOF_MSG_IOV, vectors);
        message.set(ValueLayout.JAVA_LONG, OFFSETOF_MSG_IOVLEN, count);
        return Syscall.call(Syscalls.SYS_sendmsg, fd.number(), message.address(), MSG_NOSIGNAL);
    }

    /** As {@link #send(Fd, long, int)}, of one piece of native memory. */
    public long send(Fd fd, MemorySegment piece) {
        vector.set(ValueLayout.JAVA_LONG, 0, piece.address());
        vector.set(ValueLayout.JAVA_LONG, Long.BYTES, piece.byteSize());
        return send(fd, vector.address(), 1);
    }

    /** As {@link #send(Fd, long, int)}, of a short text in ASCII, at most 256 characters. */
    public long send(Fd fd, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        MemorySegment.copy(bytes, 0, line, ValueLayout.JAVA_BYTE, 0, bytes.length);
        return send(fd, line.asSlice(0, bytes.length));
    }

    /**
     * Receives a line, without its end; what follows it stays in the socket.
     *
     * @param most at most so many bytes with its end, up to 256
     * @return empty if the line is not complete yet
     * @throws LinuxException EPIPE if there will be no line, EMSGSIZE if it is too long
     */
    public Optional<String> receiveLine(Fd fd, int most) {
        long peeked = Syscall.call(Syscalls.SYS_recvfrom, fd.number(), line.address(), most, MSG_PEEK, 0, 0);
        if (peeked == -Errnos.EAGAIN || peeked == -Errnos.EINTR) {
            return Optional.empty();
        }
        LinuxException.check(fd.name(), peeked);
        if (peeked == 0) {
            throw new LinuxException(fd.name(), Errnos.EPIPE);
        }
        for (int i = 0; i < peeked; i++) {
            if (line.get(ValueLayout.JAVA_BYTE, i) == '\n') {
                long taken = Syscall.call(Syscalls.SYS_recvfrom, fd.number(), line.address(), i + 1L, 0, 0, 0);
                LinuxException.check(fd.name(), taken);
                return Optional.of(
                        new String(line.asSlice(0, i).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.ISO_8859_1));
            }
        }
        if (peeked == most) {
            throw new LinuxException(fd.name(), Errnos.EMSGSIZE);
        }
        return Optional.empty();
    }

    /** Sends nothing any more: the other end reads the end of the stream. */
    public void shutdownOutput(Fd fd) {
        Syscall.call(Syscalls.SYS_shutdown, fd.number(), SHUT_WR);
    }

    /** Receives nothing any more: the other end's writes fail. */
    public void shutdownInput(Fd fd) {
        Syscall.call(Syscalls.SYS_shutdown, fd.number(), SHUT_RD);
    }

    /** Tells whether the other end is closed, and not only its output. */
    public boolean isHungUp(Fd fd) {
        pollFd.set(ValueLayout.JAVA_INT, 0, fd.number());
        pollFd.set(ValueLayout.JAVA_INT, Integer.BYTES, 0);
        Syscall.call(Syscalls.SYS_poll, pollFd.address(), 1, 0);
        return (pollFd.get(ValueLayout.JAVA_SHORT, OFFSETOF_REVENTS) & PollConstants.POLLHUP) != 0;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            arena.close();
        }
    }
}
