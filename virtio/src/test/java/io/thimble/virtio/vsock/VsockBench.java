package io.thimble.virtio.vsock;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.VirtioVsockConstants;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;

/** A socket device with a driver that gives receive buffers and counts what comes in them. */
final class VsockBench implements AutoCloseable {
    static final int RX = 0;
    static final int TX = 1;
    static final int EVENT = 2;
    static final int OP_REQUEST = VirtioVsockConstants.VIRTIO_VSOCK_OP_REQUEST;
    static final int OP_RESPONSE = VirtioVsockConstants.VIRTIO_VSOCK_OP_RESPONSE;
    static final int OP_RST = VirtioVsockConstants.VIRTIO_VSOCK_OP_RST;
    static final int OP_SHUTDOWN = VirtioVsockConstants.VIRTIO_VSOCK_OP_SHUTDOWN;
    static final int OP_RW = VirtioVsockConstants.VIRTIO_VSOCK_OP_RW;
    static final int OP_CREDIT_UPDATE = VirtioVsockConstants.VIRTIO_VSOCK_OP_CREDIT_UPDATE;
    static final int OP_CREDIT_REQUEST = VirtioVsockConstants.VIRTIO_VSOCK_OP_CREDIT_REQUEST;
    static final int RCV = VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_RCV;
    static final int SEND = VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_SEND;

    static final Duration LIMIT = Duration.ofSeconds(10);

    private static final int QUEUE_SIZE = 64;
    private static final int MOST_PACKET = 64 << 10;

    final VsockDevice device;
    final DeviceBench bench;
    final ManualLoop loop;
    private final long txAt;
    private final int rxLength;
    private final Queue<Long> freeRx = new ArrayDeque<>();
    private final Map<Integer, Long> givenRx = new HashMap<>();
    private final Queue<Packet> arrived = new ArrayDeque<>();

    VsockBench() {
        this(VsockLimits.DEFAULT, 4096, QUEUE_SIZE);
    }

    /** With {@code rxCount} receive buffers of {@code rxLength} bytes, the header included. */
    VsockBench(VsockLimits limits, int rxLength, int rxCount) {
        loop = new ManualLoop();
        device = new VsockDevice(Packet.GUEST_CID, loop, limits);
        MockMemory places = new MockMemory(8 << 20);
        bench = new DeviceBench(device, places, loop);
        txAt = places.allocate(Packet.HEADER + MOST_PACKET, 16);
        this.rxLength = rxLength;
        for (int i = 0; i < rxCount; i++) {
            freeRx.add(places.allocate(rxLength, 16));
        }
    }

    /** Initializes the device, perhaps again, and gives it the receive buffers. */
    void start() {
        freeRx.addAll(givenRx.values());
        givenRx.clear();
        bench.driver().start(0, QUEUE_SIZE);
        loop.run();
        giveBuffers();
    }

    MockQueue rx() {
        return bench.driver().queue(RX);
    }

    /** Gives back all receive buffers that were read. */
    void giveBuffers() {
        while (!freeRx.isEmpty() && rx().freeDescriptors() > 0) {
            long at = freeRx.remove();
            givenRx.put(rx().add(Piece.writable(at, rxLength)), at);
        }
        bench.serve(RX);
    }

    /** Sends a packet in one piece, or header and data apart if it has data. */
    void send(Packet packet) {
        sendRaw(packet.toBytes());
    }

    void sendRaw(byte[] bytes) {
        bench.places().memory().write(txAt, bytes, 0, bytes.length);
        if (bytes.length > Packet.HEADER) {
            bench.driver()
                    .queue(TX)
                    .add(
                            Piece.readable(txAt, Packet.HEADER),
                            Piece.readable(txAt + Packet.HEADER, bytes.length - Packet.HEADER));
        } else {
            bench.driver().queue(TX).add(Piece.readable(txAt, bytes.length));
        }
        bench.serve(TX);
        assertThat(bench.driver().queue(TX).takeUsed().length()).isZero();
        collect();
    }

    /** Takes what has come, without giving the buffers again. */
    void collect() {
        for (Optional<MockQueue.Used> used = rx().pollUsed(); used.isPresent(); used = rx().pollUsed()) {
            long at = Objects.requireNonNull(givenRx.remove(used.get().id()));
            arrived.add(Packet.parse(bench.places().bytes(at, used.get().length())));
            freeRx.add(at);
        }
    }

    /** Turns the loop, and takes all that comes while buffers are given again and again. */
    List<Packet> receiveAll() {
        List<Packet> packets = new ArrayList<>();
        loop.run();
        collect();
        while (!arrived.isEmpty()) {
            packets.addAll(arrived);
            arrived.clear();
            giveBuffers();
            collect();
        }
        for (Packet packet : packets) {
            assertThat(packet.srcCid()).isEqualTo(2);
            assertThat(packet.dstCid()).isEqualTo(Packet.GUEST_CID);
            assertThat(packet.length()).as(packet.toString()).isEqualTo(packet.data().length);
        }
        return packets;
    }

    /** Takes the one packet that has come. */
    Packet receive() {
        List<Packet> packets = receiveAll();
        assertThat(packets).hasSize(1);
        return packets.getFirst();
    }

    /** Connects the host to a port of the guest's, which accepts. */
    HostStream connect(int guestPort) throws IOException {
        HostStream stream = device.connect(guestPort);
        Packet request = receive();
        assertThat(request.op()).isEqualTo(OP_REQUEST);
        send(Packet.of(guestPort, request.srcPort(), OP_RESPONSE));
        assertThat(receiveAll()).isEmpty();
        stream.awaitOpen(LIMIT);
        return stream;
    }

    static byte[] read(HostStream stream, int most) throws IOException {
        byte[] bytes = new byte[most];
        int n = stream.read(MemorySegment.ofArray(bytes), 0, most, LIMIT);
        return n < 0 ? new byte[0] : Arrays.copyOf(bytes, n);
    }

    static int readStatus(HostStream stream) throws IOException {
        return stream.read(MemorySegment.ofArray(new byte[1]), 0, 1, LIMIT);
    }

    static void write(HostStream stream, byte[] bytes) throws IOException {
        stream.write(MemorySegment.ofArray(bytes), 0, bytes.length, LIMIT);
    }

    static byte[] joined(List<Packet> packets) {
        int length = packets.stream().mapToInt(Packet::length).sum();
        byte[] all = new byte[length];
        int at = 0;
        for (Packet packet : packets) {
            System.arraycopy(packet.data(), 0, all, at, packet.length());
            at += packet.length();
        }
        return all;
    }

    @Override
    public void close() {
        bench.close();
    }
}
