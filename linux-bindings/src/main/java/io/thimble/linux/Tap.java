package io.thimble.linux;

import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.IfTunConstants;
import io.thimble.linux.abi.IfreqLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * One queue of a TAP interface (Documentation/networking/tuntap.rst): a descriptor that reads and writes Ethernet frames, each
 * behind a {@code struct virtio_net_hdr_v1} in little endian. Non-blocking.
 *
 * <p>One thread at a time uses it; {@link #close} comes after the last use.
 */
public final class Tap implements AutoCloseable {
    /** The file through which TAPs are opened. */
    public static final String DEVICE = "/dev/net/tun";

    private static final int FLAGS = IfTunConstants.IFF_TAP | IfTunConstants.IFF_NO_PI | IfTunConstants.IFF_VNET_HDR;

    private final Fd fd;
    private final boolean multiQueue;

    private Tap(Fd fd, boolean multiQueue) {
        this.fd = fd;
        this.multiQueue = multiQueue;
    }

    /**
     * Opens a queue. An interface that does not exist is created, and removed when its last queue is closed.
     *
     * @param multiQueue whether the interface may have other queues besides: it has to be created so
     * @param headerSize of the header before each frame, in bytes
     * @throws LinuxException EPERM without {@code CAP_NET_ADMIN} for an interface that is not the user's, EBUSY if somebody
     *     else has it open, EINVAL if it is no TAP or is not of this kind
     */
    public static Tap open(NetInterface name, boolean multiQueue, int headerSize) {
        Fd fd = Fd.open(DEVICE, FcntlConstants.O_RDWR | FcntlConstants.O_NONBLOCK);
        try {
            attach(fd, name, FLAGS | (multiQueue ? IfTunConstants.IFF_MULTI_QUEUE : 0));
            setInt(fd, "TUNSETVNETHDRSZ", IfTunConstants.TUNSETVNETHDRSZ, headerSize);
            setInt(fd, "TUNSETVNETLE", IfTunConstants.TUNSETVNETLE, 1);
            return new Tap(fd, multiQueue);
        } catch (RuntimeException e) {
            fd.close();
            throw e;
        }
    }

    private static void attach(Fd fd, NetInterface name, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = NetInterface.ifreq(arena, name.name());
            request.set(ValueLayout.JAVA_SHORT, IfreqLayout.OFFSETOF_IFR_IFRU_IFRU_FLAGS, (short) flags);
            LinuxException.check(
                    name + ": TUNSETIFF", Syscall.ioctl(fd.number(), IfTunConstants.TUNSETIFF, request.address()));
        }
    }

    private static void setInt(Fd fd, String operation, long request, int value) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocateFrom(ValueLayout.JAVA_INT, value);
            LinuxException.check(operation, Syscall.ioctl(fd.number(), request, argument.address()));
        }
    }

    /** Returns the descriptor; this object keeps owning it. */
    public Fd fd() {
        return fd;
    }

    /** Tells whether the interface may have several queues. */
    public boolean multiQueue() {
        return multiQueue;
    }

    /**
     * Says what frames the reader takes: without a checksum, or larger than the interface's MTU.
     *
     * @param offloads {@code TUN_F_*}
     * @return 0, or {@code -EINVAL} if the kernel does not know one of them
     */
    public long setOffload(int offloads) {
        return Syscall.ioctl(fd.number(), IfTunConstants.TUNSETOFFLOAD, offloads);
    }

    /**
     * Connects or disconnects this queue of a multi-queue interface; a disconnected one gets no frames and takes none.
     *
     * @return 0 or {@code -errno}; {@code -EINVAL} if it is so already
     */
    public long setEnabled(boolean enabled) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = arena.allocate(IfreqLayout.SIZEOF, Long.BYTES);
            int flag = enabled ? IfTunConstants.IFF_ATTACH_QUEUE : IfTunConstants.IFF_DETACH_QUEUE;
            request.set(ValueLayout.JAVA_SHORT, IfreqLayout.OFFSETOF_IFR_IFRU_IFRU_FLAGS, (short) flag);
            return Syscall.ioctl(fd.number(), IfTunConstants.TUNSETQUEUE, request.address());
        }
    }

    /** Puts the host's end of the cable in or out; the host's kernel sends nothing into an interface without carrier. */
    public long setCarrier(boolean present) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocateFrom(ValueLayout.JAVA_INT, present ? 1 : 0);
            return Syscall.ioctl(fd.number(), IfTunConstants.TUNSETCARRIER, argument.address());
        }
    }

    @Override
    public void close() {
        fd.close();
    }

    @Override
    public String toString() {
        return fd.toString();
    }
}
