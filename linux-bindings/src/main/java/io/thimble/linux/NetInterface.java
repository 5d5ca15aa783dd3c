package io.thimble.linux;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.IfreqLayout;
import io.thimble.linux.abi.SockiosConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** A network interface of the calling thread's network namespace, by its name (netdevice(7)). */
public final class NetInterface {
    /** The most bytes that a name has: {@code IFNAMSIZ} (linux/if.h) less the final zero. */
    public static final int MAX_NAME = (int) IfreqLayout.SIZEOF_IFR_IFRN_IFRN_NAME - 1;

    private static final int AF_INET = 2; // linux/socket.h
    private static final int SOCK_DGRAM = 2; // linux/net.h
    private static final int SOCK_CLOEXEC = 0x80000; // O_CLOEXEC
    private static final short IFF_UP = 1; // linux/if.h

    private final String name;

    /**
     * Names an interface, which need not exist.
     *
     * @throws IllegalArgumentException if the name is empty, too long, or has a slash or a blank in it
     */
    public NetInterface(String name) {
        int bytes = name.getBytes(StandardCharsets.UTF_8).length;
        if (bytes == 0 || bytes > MAX_NAME || name.chars().anyMatch(c -> c <= ' ' || c == '/' || c == ':')) {
            throw new IllegalArgumentException("interface name \"" + name.replaceAll("\\p{Cntrl}", "?")
                    + "\": use 1 to " + MAX_NAME + " bytes without blank, slash or colon");
        }
        this.name = name;
    }

    /** Returns the name. */
    public String name() {
        return name;
    }

    /** Tells whether there is such an interface. */
    public boolean exists() {
        try (Arena arena = Arena.ofConfined()) {
            return request(SockiosConstants.SIOCGIFINDEX, ifreq(arena, name)) != -Errnos.ENODEV;
        }
    }

    /**
     * Returns the maximum transmission unit in bytes, without the link layer's header.
     *
     * @throws LinuxException if there is no such interface
     */
    public int mtu() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = ifreq(arena, name);
            check("SIOCGIFMTU", request(SockiosConstants.SIOCGIFMTU, request));
            return request.get(ValueLayout.JAVA_INT, IfreqLayout.OFFSETOF_IFR_IFRU_IFRU_MTU);
        }
    }

    /**
     * Sets the maximum transmission unit.
     *
     * @throws LinuxException without {@code CAP_NET_ADMIN}, or if the interface does not take it
     */
    public void setMtu(int bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = ifreq(arena, name);
            request.set(ValueLayout.JAVA_INT, IfreqLayout.OFFSETOF_IFR_IFRU_IFRU_MTU, bytes);
            check("SIOCSIFMTU " + bytes, request(SockiosConstants.SIOCSIFMTU, request));
        }
    }

    /**
     * Switches the interface on.
     *
     * @throws LinuxException without {@code CAP_NET_ADMIN}
     */
    public void setUp() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = ifreq(arena, name);
            check("SIOCGIFFLAGS", request(SockiosConstants.SIOCGIFFLAGS, request));
            short flags = request.get(ValueLayout.JAVA_SHORT, IfreqLayout.OFFSETOF_IFR_IFRU_IFRU_FLAGS);
            request.set(ValueLayout.JAVA_SHORT, IfreqLayout.OFFSETOF_IFR_IFRU_IFRU_FLAGS, (short) (flags | IFF_UP));
            check("SIOCSIFFLAGS", request(SockiosConstants.SIOCSIFFLAGS, request));
        }
    }

    private void check(String operation, long result) {
        LinuxException.check(name + ": " + operation, result);
    }

    /** Returns a {@code struct ifreq} with the name in it and zeros behind. */
    static MemorySegment ifreq(Arena arena, String name) {
        MemorySegment request = arena.allocate(IfreqLayout.SIZEOF, Long.BYTES);
        request.setString(IfreqLayout.OFFSETOF_IFR_IFRN_IFRN_NAME, name);
        return request;
    }

    private static long request(long number, MemorySegment request) {
        long socket = LinuxException.check(
                "socket", Syscall.call(Syscalls.SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        try (Fd fd = new Fd((int) socket, "socket for interface requests")) {
            return Syscall.ioctl(fd.number(), number, request.address());
        }
    }

    @Override
    public String toString() {
        return name;
    }
}
