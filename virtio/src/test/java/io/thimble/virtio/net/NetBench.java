package io.thimble.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A network device over a {@link FakeBackend}, with a driver that has started it. */
abstract class NetBench {
    static final MacAddress MAC = MacAddress.parse("02:00:00:00:00:01");
    static final long ALL = NetFeatures.HOST_OFFLOADS
            | NetFeatures.GUEST_OFFLOADS
            | NetFeatures.MRG_RXBUF
            | NetFeatures.MAC
            | NetFeatures.STATUS
            | NetFeatures.CTRL_VQ
            | NetFeatures.CTRL_RX
            | NetFeatures.CTRL_MAC_ADDR
            | NetFeatures.CTRL_GUEST_OFFLOADS
            | NetFeatures.GUEST_ANNOUNCE;
    static final int RX = 0;
    static final int TX = 1;
    static final int CONTROL = 2;

    final SplittableRandom random = new SplittableRandom(5);
    FakeBackend backend = new FakeBackend(1);
    NetDevice device = device(NetLimits.NONE);
    DeviceBench bench = new DeviceBench(device, 8 << 20);
    MockMemory places = bench.places();
    ManualLoop loop = bench.loop();
    MockMmioDriver driver = bench.driver();

    private NetDevice device(NetLimits limits) {
        return new NetDevice(
                new NetConfig("net0", MAC, OptionalInt.empty(), true, limits), backend, DeviceListener.none());
    }

    /** Takes another device, on which no driver has started. */
    void use(FakeBackend other, NetLimits limits) {
        close();
        backend = other;
        device = device(limits);
        bench = new DeviceBench(device, 8 << 20);
        places = bench.places();
        loop = bench.loop();
        driver = bench.driver();
    }

    /** Features of the queues that the driver takes. */
    long ringFeatures() {
        return 0;
    }

    @BeforeEach
    void start() {
        start(ALL, 256);
    }

    void start(long features, int queueSize) {
        driver.start(features | ringFeatures(), queueSize);
        loop.run();
    }

    @AfterEach
    void close() {
        bench.close();
        assertThat(backend.closed).isTrue();
    }

    byte[] frame(int length) {
        byte[] frame = new byte[length];
        random.nextBytes(frame);
        System.arraycopy(MAC.toBytes(), 0, frame, 0, MacAddress.BYTES);
        return frame;
    }

    static byte[] packet(byte[] frame, int... header) {
        byte[] packet = new byte[PacketHeader.SIZE + frame.length];
        for (int i = 0; i < header.length; i++) {
            packet[i] = (byte) header[i];
        }
        System.arraycopy(frame, 0, packet, PacketHeader.SIZE, frame.length);
        return packet;
    }

    void send(byte[] packet) {
        driver.queue(TX).add(Piece.readable(places.allocate(packet), packet.length));
        driver.notifyQueue(TX);
        loop.run();
    }

    long offerBuffer(int length) {
        long at = places.allocate(length, 16);
        driver.queue(RX).add(Piece.writable(at, length));
        return at;
    }

    void notifyReceive() {
        driver.notifyQueue(RX);
        loop.run();
    }

    byte command(int commandClass, int number, byte... data) {
        byte[] command = new byte[2 + data.length];
        command[0] = (byte) commandClass;
        command[1] = (byte) number;
        System.arraycopy(data, 0, command, 2, data.length);
        long answer = places.allocate(new byte[] {(byte) 0xff});
        driver.queue(CONTROL).add(Piece.readable(places.allocate(command), command.length), Piece.writable(answer, 1));
        driver.notifyQueue(CONTROL);
        loop.run();
        driver.queue(CONTROL).takeUsed();
        return places.bytes(answer, 1)[0];
    }
}
