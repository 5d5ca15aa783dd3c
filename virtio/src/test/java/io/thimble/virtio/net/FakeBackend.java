package io.thimble.virtio.net;

import io.thimble.virtio.device.DeviceLoop;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Queue;

/** A back end whose other end is the test. */
final class FakeBackend implements NetBackend {
    final List<byte[]> sent = new ArrayList<>();
    final Queue<byte[]> coming = new ArrayDeque<>();
    final int pairs;
    int room = Integer.MAX_VALUE;
    long guestOffloads;
    int activePairs;
    boolean carrier = true;
    boolean closed;
    Optional<Events> events = Optional.empty();

    FakeBackend(int pairs) {
        this.pairs = pairs;
    }

    /** A frame comes, with a header of zeros. */
    void come(byte[] frame) {
        byte[] packet = new byte[PacketHeader.SIZE + frame.length];
        System.arraycopy(frame, 0, packet, PacketHeader.SIZE, frame.length);
        coming.add(packet);
        events.ifPresent(told -> told.readable(0));
    }

    @Override
    public String name() {
        return "fake";
    }

    @Override
    public long offloads() {
        return NetFeatures.HOST_OFFLOADS | NetFeatures.GUEST_OFFLOADS;
    }

    @Override
    public int queuePairs() {
        return pairs;
    }

    @Override
    public OptionalInt mtu() {
        return OptionalInt.empty();
    }

    @Override
    public void start(DeviceLoop loop, Events newEvents) {
        events = Optional.of(newEvents);
    }

    @Override
    public void stop() {
        events = Optional.empty();
    }

    @Override
    public void setGuestOffloads(long offloads) {
        guestOffloads = offloads;
    }

    @Override
    public void setActivePairs(int active) {
        activePairs = active;
    }

    @Override
    public void setCarrier(boolean present) {
        carrier = present;
    }

    @Override
    public int send(int pair, TransmitPacket packet) {
        if (room == 0) {
            return BUSY;
        }
        room--;
        byte[] frame = new byte[(int) packet.frameLength()];
        packet.copyFrame(0, MemorySegment.ofArray(frame), 0, frame.length);
        sent.add(frame);
        return SENT;
    }

    @Override
    public long receive(int pair, ReceiveBuffers buffers) {
        byte[] packet = coming.poll();
        if (packet == null) {
            return 0;
        }
        buffers.write(0, MemorySegment.ofArray(packet), 0, packet.length);
        return packet.length;
    }

    @Override
    public void close() {
        closed = true;
    }
}
