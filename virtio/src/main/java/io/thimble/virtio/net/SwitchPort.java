package io.thimble.virtio.net;

import io.thimble.linux.EventFd;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.virtio.device.DeviceLoop;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/** A card's place in a {@link VirtualSwitch}. {@link #offer} comes from other devices' threads. */
final class SwitchPort implements NetBackend {
    private final VirtualSwitch owner;
    private final long ownAddress;
    private final FrameRing ring = new FrameRing();
    private final EventFd bell;
    private final byte[] addresses = new byte[2 * MacAddress.BYTES];
    private final MemorySegment addressSegment = MemorySegment.ofArray(addresses);
    private final Arena arena = Arena.ofShared();
    private final SoftwareOffload software = new SoftwareOffload(arena);
    private volatile boolean receiving;
    private volatile boolean carrier = true;
    private volatile long guestOffloads;
    private @Nullable DeviceLoop loop;
    private long watch;

    SwitchPort(VirtualSwitch owner, long ownAddress) {
        this.owner = owner;
        this.ownAddress = ownAddress;
        this.bell = new EventFd("switch " + owner.name());
    }

    /** Tells whether an address is that which the card was made with. */
    boolean owns(long address) {
        return address == ownAddress;
    }

    @Override
    public String name() {
        return "switch " + owner.name();
    }

    @Override
    public long offloads() {
        return NetFeatures.HOST_OFFLOADS | NetFeatures.GUEST_OFFLOADS;
    }

    @Override
    public int queuePairs() {
        return 1;
    }

    @Override
    public OptionalInt mtu() {
        return OptionalInt.empty();
    }

    @Override
    public void start(DeviceLoop newLoop, Events events) {
        loop = newLoop;
        watch = newLoop.watch(
                bell.fd(), EventpollConstants.EPOLLIN | (int) EventpollConstants.EPOLLET, () -> events.readable(0));
        receiving = true;
    }

    @Override
    public void stop() {
        receiving = false;
        DeviceLoop before = loop;
        loop = null;
        if (before != null) {
            before.unwatch(bell.fd(), watch);
        }
        for (long at = ring.peek(); at >= 0; at = ring.peek()) {
            ring.remove(at);
        }
    }

    @Override
    public void setGuestOffloads(long offloads) {
        guestOffloads = offloads;
    }

    @Override
    public void setActivePairs(int pairs) {}

    @Override
    public void setCarrier(boolean present) {
        carrier = present;
    }

    @Override
    public int send(int pair, TransmitPacket packet) {
        packet.copyFrame(0, addressSegment, 0, addresses.length);
        owner.forward(this, MacAddress.value(addresses, MacAddress.BYTES), MacAddress.value(addresses, 0), packet);
        return SENT;
    }

    /** Takes a frame for this card; returns false if there is no room. On the sender's thread. */
    boolean offer(TransmitPacket packet) {
        if (!receiving || !carrier) {
            return true; // nobody is there: that is no loss of the switch's
        }
        long length = PacketHeader.SIZE + packet.frameLength();
        ReentrantLock lock = ring.lock();
        lock.lock();
        try {
            if (!receiving) {
                return true; // closed meanwhile
            }
            boolean direct = SoftwareOffload.accepts(guestOffloads, packet.header());
            return direct ? put(packet, length) : software.convert(packet, guestOffloads, this::putConverted);
        } finally {
            lock.unlock();
        }
    }

    private boolean put(TransmitPacket packet, long length) {
        long at = ring.reserve(length);
        if (at < 0) {
            return false;
        }
        MemorySegment memory = ring.memory();
        MemorySegment.copy(packet.header(), 0, memory, at, PacketHeader.SIZE);
        packet.copyFrame(0, memory, at + PacketHeader.SIZE, packet.frameLength());
        commit(at, length);
        return true;
    }

    private boolean putConverted(MemorySegment packet, long length) {
        long at = ring.reserve(length);
        if (at < 0) {
            return false;
        }
        MemorySegment.copy(packet, 0, ring.memory(), at, length);
        commit(at, length);
        return true;
    }

    private void commit(long at, long length) {
        if (ring.commit(at, length)) {
            bell.signal();
        }
    }

    @Override
    public long receive(int pair, ReceiveBuffers buffers) {
        long at = ring.peek();
        if (at < 0) {
            return 0;
        }
        int length = ring.length(at);
        buffers.write(0, ring.memory(), at, length);
        ring.remove(at);
        return length;
    }

    @Override
    public void close() {
        receiving = false;
        owner.disconnect(this);
        ReentrantLock lock = ring.lock();
        lock.lock(); // a sender that is at it is done after this
        try {
            if (arena.scope().isAlive()) {
                ring.close();
                bell.close();
                arena.close();
            }
        } finally {
            lock.unlock();
        }
    }
}
