package io.thimble.virtio.net;

import io.thimble.linux.LinuxException;
import io.thimble.linux.NetInterface;
import io.thimble.linux.Syscall;
import io.thimble.linux.Tap;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.linux.abi.IfTunConstants;
import io.thimble.linux.abi.Syscalls;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.queue.IoVectors;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * Frames through a TAP interface of the host: readv(2) and writev(2) on guest memory, with checksums and segmentation left to
 * the host's kernel both ways. Its queue (500 or 1000 frames) bounds what waits for the driver; the kernel counts what it drops.
 */
public final class TapBackend implements NetBackend {
    private static final int READ = EventpollConstants.EPOLLIN | (int) EventpollConstants.EPOLLET;
    private static final int READ_AND_WRITE = READ | EventpollConstants.EPOLLOUT;

    private static final int CSUM_TSO = IfTunConstants.TUN_F_CSUM
            | IfTunConstants.TUN_F_TSO4
            | IfTunConstants.TUN_F_TSO6
            | IfTunConstants.TUN_F_TSO_ECN;
    private static final int USO = IfTunConstants.TUN_F_USO4 | IfTunConstants.TUN_F_USO6;

    private final NetInterface tap;
    private final int mtu;
    private final List<Queue> queues;
    private final boolean hasUso;
    private @Nullable DeviceLoop loop;
    private @Nullable Events events;

    /** A queue of the interface. */
    private final class Queue {
        final int pair;
        final Tap file;
        boolean enabled = true;
        boolean blocked;
        long watch;

        Queue(int pair, Tap file) {
            this.pair = pair;
            this.file = file;
        }

        void ready() {
            Events told = events;
            DeviceLoop on = loop;
            if (told == null || on == null) {
                return;
            }
            told.readable(pair);
            if (blocked && events != null) {
                blocked = false;
                on.rewatch(file.fd(), watch, READ);
                told.writable(pair);
            }
        }
    }

    private TapBackend(NetInterface tap, int mtu, List<Tap> files) {
        this.tap = tap;
        this.mtu = mtu;
        this.queues = new ArrayList<>();
        for (Tap file : files) {
            queues.add(new Queue(queues.size(), file));
        }
        Tap first = files.getFirst();
        this.hasUso = first.setOffload(CSUM_TSO | USO) == 0;
        long _ = first.setOffload(0);
    }

    /**
     * Opens an interface that exists.
     *
     * @param pairs of queues; more than one needs an interface made with {@code multi_queue}
     * @throws LinuxException if it does not exist, is no TAP, or may not be opened; the message names the remedy
     */
    public static TapBackend open(NetInterface tap, int pairs) {
        if (!tap.exists()) {
            throw new LinuxException(
                    "tap " + tap,
                    Errnos.ENODEV,
                    "make it (ip tuntap add dev " + tap + " mode tap user USER" + (pairs > 1 ? " multi_queue" : "")
                            + "), or have it created with the VM");
        }
        return openQueues(tap, pairs);
    }

    /**
     * Creates an interface, switches it on, and removes it with the VM.
     *
     * @param mtu of the interface; empty for the kernel's default
     * @throws LinuxException without {@code CAP_NET_ADMIN}, or if it exists; the message names the remedy
     */
    public static TapBackend create(NetInterface tap, int pairs, OptionalInt mtu) {
        if (tap.exists()) {
            throw new LinuxException(
                    "tap " + tap, Errnos.EEXIST, "leave out that it is to be created, or choose another name");
        }
        TapBackend backend = openQueues(tap, pairs);
        try {
            mtu.ifPresent(tap::setMtu);
            tap.setUp();
            return new TapBackend(
                    tap, tap.mtu(), backend.queues.stream().map(q -> q.file).toList());
        } catch (RuntimeException e) {
            backend.close();
            throw e;
        }
    }

    private static TapBackend openQueues(NetInterface tap, int pairs) {
        List<Tap> files = new ArrayList<>();
        try {
            files.add(openFirst(tap, pairs));
            while (files.size() < pairs) {
                files.add(Tap.open(tap, true, PacketHeader.SIZE));
            }
            return new TapBackend(tap, tap.mtu(), files);
        } catch (LinuxException e) {
            files.forEach(Tap::close);
            throw new LinuxException("tap " + tap, e.errno(), remedy(e, tap, pairs));
        }
    }

    /** An interface has the kind that it was made with; with one queue, either will do. */
    private static Tap openFirst(NetInterface tap, int pairs) {
        try {
            return Tap.open(tap, pairs > 1, PacketHeader.SIZE);
        } catch (LinuxException e) {
            if (e.errno() == Errnos.EINVAL && pairs == 1) {
                return Tap.open(tap, true, PacketHeader.SIZE);
            }
            throw e;
        }
    }

    private static String remedy(LinuxException e, NetInterface tap, int pairs) {
        return switch (e.errno()) {
            case Errnos.EPERM ->
                "it is not this user's: make it theirs (ip tuntap add dev " + tap
                        + " mode tap user USER), or give CAP_NET_ADMIN";
            case Errnos.EACCES -> "no permission to open " + Tap.DEVICE + ": chmod 0666 it, as distributions do";
            case Errnos.EBUSY -> "another program has it open, another VM perhaps: each VM needs a TAP of its own";
            case Errnos.ENOENT, Errnos.ENXIO -> Tap.DEVICE + " is missing: load the module tun (modprobe tun)";
            case Errnos.EINVAL ->
                pairs > 1
                        ? "it is no TAP with several queues: make it with multi_queue, or use one queue"
                        : "it is no TAP interface";
            case Errnos.E2BIG -> "it has no more queues to open: use fewer";
            default -> e.operation();
        };
    }

    @Override
    public String name() {
        return "tap " + tap;
    }

    @Override
    public long offloads() {
        long offloads = NetFeatures.HOST_CSUM
                | NetFeatures.HOST_TSO4
                | NetFeatures.HOST_TSO6
                | NetFeatures.HOST_ECN
                | NetFeatures.GUEST_CSUM
                | NetFeatures.GUEST_TSO4
                | NetFeatures.GUEST_TSO6
                | NetFeatures.GUEST_ECN;
        return hasUso ? offloads | NetFeatures.HOST_USO | NetFeatures.GUEST_USO4 | NetFeatures.GUEST_USO6 : offloads;
    }

    @Override
    public int queuePairs() {
        return queues.size();
    }

    @Override
    public OptionalInt mtu() {
        return OptionalInt.of(mtu);
    }

    @Override
    public void start(DeviceLoop newLoop, Events newEvents) {
        loop = newLoop;
        events = newEvents;
        for (Queue queue : queues) {
            queue.watch = newLoop.watch(queue.file.fd(), READ, queue::ready);
        }
    }

    @Override
    public void stop() {
        DeviceLoop before = loop;
        if (before != null) {
            for (Queue queue : queues) {
                before.unwatch(queue.file.fd(), queue.watch);
                queue.blocked = false;
            }
        }
        loop = null;
        events = null;
    }

    @Override
    public void setGuestOffloads(long offloads) {
        int bits = 0;
        if ((offloads & NetFeatures.GUEST_CSUM) != 0) {
            bits = IfTunConstants.TUN_F_CSUM
                    | bit(offloads, NetFeatures.GUEST_TSO4, IfTunConstants.TUN_F_TSO4)
                    | bit(offloads, NetFeatures.GUEST_TSO6, IfTunConstants.TUN_F_TSO6)
                    | bit(offloads, NetFeatures.GUEST_ECN, IfTunConstants.TUN_F_TSO_ECN)
                    | bit(offloads, NetFeatures.GUEST_USO4, IfTunConstants.TUN_F_USO4)
                    | bit(offloads, NetFeatures.GUEST_USO6, IfTunConstants.TUN_F_USO6);
        }
        long _ = queues.getFirst().file.setOffload(bits); // one for all queues; without, frames are only smaller
    }

    private static int bit(long offloads, long feature, int flag) {
        return (offloads & feature) != 0 ? flag : 0;
    }

    @Override
    public void setActivePairs(int pairs) {
        for (Queue queue : queues) {
            boolean enable = queue.pair < pairs;
            if (queue.file.multiQueue() && queue.enabled != enable) {
                queue.enabled = enable;
                long _ = queue.file.setEnabled(enable);
            }
        }
    }

    @Override
    public void setCarrier(boolean present) {
        long _ = queues.getFirst().file.setCarrier(present); // the host's end shows it where the kernel can (4.20)
    }

    @Override
    public int send(int pair, TransmitPacket packet) {
        Queue queue = queues.get(pair);
        IoVectors vectors = packet.vectors(packet.header());
        long result = call(Syscalls.SYS_writev, queue, vectors.address(), vectors.count());
        if (result >= 0) {
            return SENT;
        }
        if (result == -Errnos.EAGAIN && loop != null) {
            queue.blocked = true;
            loop.rewatch(queue.file.fd(), queue.watch, READ_AND_WRITE);
            return BUSY;
        }
        failed(result);
        return DROPPED;
    }

    @Override
    public long receive(int pair, ReceiveBuffers buffers) {
        long result = call(Syscalls.SYS_readv, queues.get(pair), buffers.vectors(), buffers.vectorCount());
        if (result < 0) {
            failed(result);
            return 0;
        }
        return result;
    }

    private static long call(int number, Queue queue, long vectors, int count) {
        long result;
        do {
            result = Syscall.call(number, queue.file.fd().number(), vectors, count);
        } while (result == -Errnos.EINTR);
        return result;
    }

    /** An interface that is down takes no frame (EIO), and one with a bad header is refused (EINVAL): that is no loss. */
    private void failed(long result) {
        if (result == -Errnos.EBADFD && events != null) {
            events.lost(name() + " was removed: the guest's link is down; only a new VM can have a new one");
        }
    }

    @Override
    public void close() {
        for (Queue queue : queues) {
            queue.file.close();
        }
    }
}
