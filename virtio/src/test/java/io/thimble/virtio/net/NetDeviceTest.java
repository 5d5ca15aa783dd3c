package io.thimble.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.linux.abi.VirtioNetConstants;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.transport.MmioTransport;
import io.thimble.virtio.transport.TransportCore;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class NetDeviceTest {
    private static final MacAddress MAC = MacAddress.parse("02:00:00:00:00:01");
    private static final long ALL = NetFeatures.HOST_OFFLOADS
            | NetFeatures.GUEST_OFFLOADS
            | NetFeatures.MRG_RXBUF
            | NetFeatures.MAC
            | NetFeatures.STATUS
            | NetFeatures.CTRL_VQ
            | NetFeatures.CTRL_RX
            | NetFeatures.CTRL_MAC_ADDR
            | NetFeatures.CTRL_GUEST_OFFLOADS
            | NetFeatures.GUEST_ANNOUNCE;
    private static final int RX = 0;
    private static final int TX = 1;
    private static final int CONTROL = 2;

    private final ManualLoop loop = new ManualLoop();
    private final MockMemory places = new MockMemory(8 << 20);
    private final SplittableRandom random = new SplittableRandom(5);
    private FakeBackend backend = new FakeBackend(1);
    private NetDevice device = device();
    private MockMmioDriver driver = connect();

    private NetDevice device() {
        return new NetDevice(new NetConfig("net0", MAC, OptionalInt.empty(), true), backend, DeviceListener.none());
    }

    private MockMmioDriver connect() {
        MmioTransport transport = new MmioTransport(
                new TransportCore(device, places.memory(), loop, () -> {}, DeviceListener.none(), true));
        return new MockMmioDriver(
                new MockMmioDriver.Registers() {
                    @Override
                    public long read(long offset, int size) {
                        return transport.read(offset, size);
                    }

                    @Override
                    public void write(long offset, int size, long value) {
                        transport.write(offset, size, value);
                    }
                },
                places);
    }

    @BeforeEach
    void start() {
        start(ALL, 256);
    }

    private void start(long features, int queueSize) {
        driver.start(features, queueSize);
        loop.run();
    }

    @AfterEach
    void close() {
        assertThat(device.close(Duration.ZERO)).isTrue();
        assertThat(backend.closed).isTrue();
        loop.close();
    }

    private byte[] frame(int length) {
        byte[] frame = new byte[length];
        random.nextBytes(frame);
        System.arraycopy(MAC.toBytes(), 0, frame, 0, MacAddress.BYTES);
        return frame;
    }

    private static byte[] packet(byte[] frame, int... header) {
        byte[] packet = new byte[PacketHeader.SIZE + frame.length];
        for (int i = 0; i < header.length; i++) {
            packet[i] = (byte) header[i];
        }
        System.arraycopy(frame, 0, packet, PacketHeader.SIZE, frame.length);
        return packet;
    }

    private void send(byte[] packet) {
        driver.queue(TX).add(Piece.readable(places.allocate(packet), packet.length));
        driver.notifyQueue(TX);
        loop.run();
    }

    private long offerBuffer(int length) {
        long at = places.allocate(length, 16);
        driver.queue(RX).add(Piece.writable(at, length));
        return at;
    }

    private void notifyReceive() {
        driver.notifyQueue(RX);
        loop.run();
    }

    private byte command(int commandClass, int number, byte... data) {
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

    @Test
    void tells_its_address_and_that_the_link_is_up() {
        for (int i = 0; i < MacAddress.BYTES; i++) {
            assertThat((byte) driver.config(i, 1)).isEqualTo(MAC.toBytes()[i]);
        }
        assertThat(driver.config(6, 2)).isEqualTo(VirtioNetConstants.VIRTIO_NET_S_LINK_UP);
        assertThat(driver.config(8, 2)).isEqualTo(1);
    }

    @Test
    void sends_a_frame_in_several_pieces_as_it_is() {
        byte[] frame = frame(1514);
        byte[] packet = packet(frame);
        driver.queue(TX)
                .add(
                        Piece.readable(places.allocate(Arrays.copyOf(packet, 7)), 7),
                        Piece.readable(places.allocate(Arrays.copyOfRange(packet, 7, 100)), 93),
                        Piece.readable(
                                places.allocate(Arrays.copyOfRange(packet, 100, packet.length)), packet.length - 100));
        driver.notifyQueue(TX);
        loop.run();
        assertThat(backend.sent).containsExactly(frame);
        assertThat(driver.queue(TX).takeUsed().length()).isZero();
        assertThat(driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_VRING);
    }

    @Test
    void waits_for_room_in_the_back_end_and_keeps_the_order() {
        backend.room = 1;
        byte[][] frames = {frame(60), frame(61), frame(62)};
        for (byte[] frame : frames) {
            send(packet(frame));
        }
        assertThat(backend.sent).hasSize(1);
        backend.room = 10;
        backend.events.orElseThrow().writable(0);
        loop.run();
        assertThat(backend.sent).containsExactly(frames);
        for (int i = 0; i < frames.length; i++) {
            driver.queue(TX).takeUsed();
        }
    }

    @Test
    void drops_and_counts_frames_with_an_impossible_header() {
        int csum = VirtioNetConstants.VIRTIO_NET_HDR_F_NEEDS_CSUM;
        int tcp4 = VirtioNetConstants.VIRTIO_NET_HDR_GSO_TCPV4;
        byte[] frame = frame(100);
        send(packet(frame, csum, 0, 0, 0, 0, 0, 90, 0, 9, 0)); // the checksum behind the end
        send(packet(frame, csum, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff));
        send(packet(frame, 0, tcp4, 54, 0, 100, 0)); // segmentation without checksum
        send(packet(frame, csum, tcp4, 54, 0, 0, 0, 34, 0, 16, 0)); // segments of 0 bytes
        send(packet(frame, csum, tcp4, 101, 0, 10, 0, 34, 0, 16, 0)); // a header longer than the frame
        send(packet(frame, csum, 2, 54, 0, 10, 0, 34, 0, 16, 0)); // no such kind
        send(packet(frame(13)));
        send(packet(frame(NetDevice.MAX_FRAME + 1)));
        send(new byte[5]);
        assertThat(backend.sent).isEmpty();
        assertThat(device.statistics().malformed()).isEqualTo(9);
        send(packet(frame, csum, tcp4, 54, 0, 10, 0, 34, 0, 16, 0));
        assertThat(backend.sent).containsExactly(frame);
        assertThat(driver.status() & VirtioConfigConstants.VIRTIO_CONFIG_S_NEEDS_RESET)
                .isZero();
    }

    @Test
    void spreads_a_frame_over_as_many_buffers_as_it_takes() {
        byte[] frame = frame(5000);
        long[] buffers = new long[64];
        for (int i = 0; i < buffers.length; i++) {
            buffers[i] = offerBuffer(1536);
        }
        notifyReceive();
        backend.come(frame);
        loop.run();
        byte[] got = new byte[4 * 1536];
        for (int i = 0; i < 4; i++) {
            MockQueue.Used used = driver.queue(RX).takeUsed();
            int expected = Math.min(1536, PacketHeader.SIZE + frame.length - 1536 * i);
            assertThat(used.length()).isEqualTo(expected);
            System.arraycopy(places.bytes(buffers[i], 1536), 0, got, i * 1536, 1536);
        }
        assertThat(driver.queue(RX).pollUsed()).isEmpty();
        assertThat(got[PacketHeader.NUM_BUFFERS]).isEqualTo((byte) 4);
        assertThat(Arrays.copyOfRange(got, PacketHeader.SIZE, PacketHeader.SIZE + frame.length))
                .isEqualTo(frame);
        assertThat(driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_VRING);
    }

    @Test
    void delivers_with_too_few_buffers_for_the_largest_frame_and_holds_one_that_does_not_fit() {
        long small = offerBuffer(200);
        notifyReceive();
        byte[] first = frame(100);
        byte[] second = frame(900);
        backend.come(first);
        backend.come(second);
        loop.run();
        assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(112);
        assertThat(places.bytes(small + PacketHeader.SIZE, 100)).isEqualTo(first);
        long half = offerBuffer(500);
        notifyReceive();
        assertThat(driver.queue(RX).pollUsed()).isEmpty();
        long rest = offerBuffer(500);
        notifyReceive();
        assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(500);
        assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(412);
        assertThat(places.bytes(half + PacketHeader.NUM_BUFFERS, 2)).containsExactly(2, 0);
        assertThat(places.bytes(rest, 412)).isEqualTo(Arrays.copyOfRange(second, 488, 900));
    }

    @Test
    void leaves_frames_in_the_back_end_while_the_driver_has_no_buffers() {
        backend.come(frame(60));
        backend.come(frame(60));
        assertThat(backend.coming).hasSize(2);
        offerBuffer(1536);
        notifyReceive();
        assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(72);
        assertThat(backend.coming.size() + (int) device.statistics().receivedFrames())
                .isEqualTo(2);
    }

    @Test
    void without_mergeable_buffers_a_frame_takes_one_buffer_and_too_long_a_frame_is_dropped() {
        start(ALL & ~NetFeatures.MRG_RXBUF, 256);
        long first = offerBuffer(1536);
        offerBuffer(1536);
        notifyReceive();
        backend.come(frame(1600));
        byte[] frame = frame(1500);
        backend.come(frame);
        loop.run();
        assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(1512);
        assertThat(places.bytes(first + PacketHeader.SIZE, 1500)).isEqualTo(frame);
        assertThat(places.bytes(first + PacketHeader.NUM_BUFFERS, 2)).containsExactly(1, 0);
        assertThat(device.statistics().receiveDropped()).isEqualTo(1);
    }

    @Test
    void a_frame_too_long_for_all_buffers_that_there_can_be_is_dropped() {
        start(ALL, 4);
        for (int i = 0; i < 4; i++) {
            offerBuffer(500);
        }
        notifyReceive();
        backend.come(frame(3000));
        backend.come(frame(100));
        loop.run();
        assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(112);
        assertThat(device.statistics().receiveDropped()).isEqualTo(1);
    }

    @Test
    void a_receive_buffer_shorter_than_the_header_needs_a_reset() {
        offerBuffer(PacketHeader.SIZE - 1);
        notifyReceive();
        backend.come(frame(60));
        loop.run();
        assertThat(driver.status() & VirtioConfigConstants.VIRTIO_CONFIG_S_NEEDS_RESET)
                .isNotZero();
        backend.come(frame(60)); // is not touched any more
        start(ALL, 256);
        offerBuffer(1536);
        notifyReceive();
        assertThat(driver.queue(RX).pollUsed()).isPresent();
    }

    @Test
    void filters_by_address_as_the_driver_says() {
        for (int i = 0; i < 64; i++) {
            offerBuffer(1536);
        }
        notifyReceive();
        byte[] mine = frame(60);
        byte[] other = frame(60);
        other[5] = 2;
        byte[] multicast = frame(60);
        multicast[0] = 1;
        byte[] broadcast = frame(60);
        Arrays.fill(broadcast, 0, 6, (byte) 0xff);
        assertThat(received(mine, other, multicast, broadcast)).isEqualTo(4);
        assertThat(command(0, VirtioNetConstants.VIRTIO_NET_CTRL_RX_PROMISC, (byte) 0))
                .isZero();
        assertThat(received(mine, other, multicast, broadcast)).isEqualTo(2);
        assertThat(command(0, VirtioNetConstants.VIRTIO_NET_CTRL_RX_ALLMULTI, (byte) 1))
                .isZero();
        assertThat(received(mine, other, multicast, broadcast)).isEqualTo(3);
        byte[] table = new byte[4 + 6 + 4];
        table[0] = 1;
        System.arraycopy(other, 0, table, 4, 6);
        assertThat(command(1, VirtioNetConstants.VIRTIO_NET_CTRL_MAC_TABLE_SET, table))
                .isZero();
        assertThat(received(mine, other, multicast, broadcast)).isEqualTo(4);
        assertThat(command(
                        1,
                        VirtioNetConstants.VIRTIO_NET_CTRL_MAC_ADDR_SET,
                        (byte) 2,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 9))
                .isZero();
        assertThat(driver.config(5, 1)).isEqualTo(9);
        assertThat(received(mine, other, multicast, broadcast)).isEqualTo(3);
    }

    private int received(byte[]... frames) {
        long before = device.statistics().receivedFrames();
        for (byte[] frame : frames) {
            backend.come(frame);
        }
        loop.run();
        return (int) (device.statistics().receivedFrames() - before);
    }

    @Test
    void refuses_commands_that_are_cut_off_too_long_or_unknown() {
        assertThat(command(0, 0)).isEqualTo((byte) 1);
        assertThat(command(0, 0, (byte) 1, (byte) 1)).isEqualTo((byte) 1);
        assertThat(command(0, 9, (byte) 1)).isEqualTo((byte) 1);
        assertThat(command(77, 0)).isEqualTo((byte) 1);
        assertThat(command(1, 0, (byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0, (byte) 0))
                .isEqualTo((byte) 1);
        assertThat(command(1, 0, new byte[40_000])).isEqualTo((byte) 1);
        assertThat(command(1, 1, (byte) 1, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 1))
                .isEqualTo((byte) 1); // a group's address
        assertThat(command(4, 0, (byte) 1, (byte) 0)).isEqualTo((byte) 1); // VIRTIO_NET_F_MQ was not negotiated
        assertThat(command(5, 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 1))
                .isEqualTo((byte) 1); // an offload that does not exist
    }

    @Test
    void the_driver_switches_offloads_off_and_on() {
        assertThat(backend.guestOffloads).isEqualTo(NetFeatures.GUEST_OFFLOADS);
        assertThat(command(5, 0, new byte[8])).isZero();
        assertThat(backend.guestOffloads).isZero();
        assertThat(command(
                        5,
                        0,
                        (byte) NetFeatures.GUEST_CSUM,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0))
                .isZero();
        assertThat(backend.guestOffloads).isEqualTo(NetFeatures.GUEST_CSUM);
    }

    @Test
    void the_link_goes_down_and_up_and_the_driver_hears_of_it() {
        offerBuffer(1536);
        notifyReceive();
        driver.takeInterrupts();
        device.setLinkUp(false);
        assertThat(driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG);
        assertThat(driver.config(6, 2)).isZero();
        assertThat(backend.carrier).isFalse();
        send(packet(frame(60)));
        backend.come(frame(60));
        loop.run();
        assertThat(backend.sent).isEmpty();
        assertThat(driver.queue(RX).pollUsed()).isEmpty();
        assertThat(device.statistics().sendDropped()).isEqualTo(1);
        assertThat(device.statistics().receiveDropped()).isEqualTo(1);
        device.setLinkUp(true);
        assertThat(driver.config(6, 2))
                .isEqualTo(VirtioNetConstants.VIRTIO_NET_S_LINK_UP | VirtioNetConstants.VIRTIO_NET_S_ANNOUNCE);
        assertThat(command(VirtioNetConstants.VIRTIO_NET_CTRL_ANNOUNCE, 0)).isZero();
        assertThat(driver.config(6, 2)).isEqualTo(VirtioNetConstants.VIRTIO_NET_S_LINK_UP);
        backend.come(frame(60));
        loop.run();
        assertThat(driver.queue(RX).pollUsed()).isPresent();
    }

    @Test
    void a_lost_back_end_takes_the_link_down() {
        backend.events.orElseThrow().lost("gone");
        assertThat(driver.config(6, 2)).isZero();
        send(packet(frame(60)));
        assertThat(device.statistics().sendDropped()).isEqualTo(1);
        driver.queue(TX).takeUsed();
    }

    @Test
    void a_pause_gives_unused_buffers_back_and_nothing_moves_until_it_ends() {
        for (int i = 0; i < 64; i++) {
            offerBuffer(1536);
        }
        notifyReceive();
        backend.come(frame(60));
        loop.run();
        driver.queue(RX).takeUsed();
        device.pause(() -> {});
        backend.come(frame(60));
        loop.run();
        assertThat(driver.queue(RX).pollUsed()).isEmpty();
        device.resume();
        loop.run();
        assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(72);
    }

    @Test
    void uses_as_many_pairs_as_the_driver_says() {
        boolean _ = device.close(Duration.ZERO);
        backend = new FakeBackend(4);
        device = device();
        driver = connect();
        start(ALL | NetFeatures.MQ, 16);
        assertThat(driver.config(8, 2)).isEqualTo(4);
        assertThat(backend.activePairs).isEqualTo(1);
        long answer = places.allocate(new byte[] {9});
        byte[] command = {VirtioNetConstants.VIRTIO_NET_CTRL_MQ, 0, 3, 0};
        driver.queue(8).add(Piece.readable(places.allocate(command), 4), Piece.writable(answer, 1));
        driver.notifyQueue(8);
        loop.run();
        assertThat(places.bytes(answer, 1)).containsExactly(0);
        assertThat(backend.activePairs).isEqualTo(3);
        byte[] frame = packet(frame(60));
        driver.queue(5).add(Piece.readable(places.allocate(frame), frame.length));
        driver.notifyQueue(5);
        loop.run();
        assertThat(backend.sent).hasSize(1);
    }

    @Test
    void refuses_an_address_of_a_group_and_an_impossible_mtu() {
        assertThatThrownBy(() -> new NetConfig("n", MacAddress.parse("01:00:5e:00:00:01"), OptionalInt.empty(), true))
                .hasMessageContaining("unicast");
        assertThatThrownBy(() -> new NetConfig("n", MAC, OptionalInt.of(67), true))
                .hasMessageContaining("68 to 65535");
        assertThatThrownBy(() -> MacAddress.parse("02:00:00:00:00")).hasMessageContaining("six bytes");
        assertThat(MacAddress.random().isUnicast()).isTrue();
    }

    @Test
    void random_frames_arrive_whole_in_random_buffers() {
        long seed = new SplittableRandom().nextLong();
        System.out.println("seed " + seed);
        SplittableRandom chance = new SplittableRandom(seed);
        start(ALL, 64);
        Map<Integer, long[]> buffers = new HashMap<>();
        for (int round = 0; round < 2000; round++) {
            if (places.allocate(1, 1) > (7 << 20)) {
                break;
            }
            while (driver.queue(RX).freeDescriptors() > 4 && chance.nextInt(4) != 0) {
                int first = chance.nextInt(12, 300);
                int second = chance.nextInt(1, 1500);
                long a = places.allocate(first, 2);
                long b = places.allocate(second, 2);
                int id = driver.queue(RX).add(Piece.writable(a, first), Piece.writable(b, second));
                buffers.put(id, new long[] {a, first, b, second});
            }
            byte[] frame = frame(chance.nextInt(14, 6000));
            long before = device.statistics().receivedFrames();
            backend.come(frame);
            notifyReceive();
            if (device.statistics().receivedFrames() == before + 1 && backend.coming.isEmpty()) {
                assertThat(Arrays.equals(takeFrame(buffers), frame))
                        .as("seed %d, round %d", seed, round)
                        .isTrue();
            } else {
                backend.coming.clear();
                while (driver.queue(RX).freeDescriptors() > 1) {
                    long at = places.allocate(1500, 2);
                    int id = driver.queue(RX).add(Piece.writable(at, 700), Piece.writable(at + 700, 800));
                    buffers.put(id, new long[] {at, 700, at + 700, 800});
                }
                notifyReceive();
                while (driver.queue(RX).pollUsed().isPresent()) {}
            }
        }
        assertThat(device.statistics().receivedFrames()).isPositive();
    }

    private byte[] takeFrame(Map<Integer, long[]> buffers) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        int left = 1;
        for (int i = 0; i < left; i++) {
            MockQueue.Used used = driver.queue(RX).takeUsed();
            long[] buffer = Objects.requireNonNull(buffers.get(used.id()));
            byte[] both = new byte[(int) (buffer[1] + buffer[3])];
            System.arraycopy(places.bytes(buffer[0], (int) buffer[1]), 0, both, 0, (int) buffer[1]);
            System.arraycopy(places.bytes(buffer[2], (int) buffer[3]), 0, both, (int) buffer[1], (int) buffer[3]);
            if (i == 0) {
                left = (both[10] & 0xff) | (both[11] & 0xff) << 8;
            }
            all.write(both, 0, used.length());
        }
        byte[] packet = all.toByteArray();
        return Arrays.copyOfRange(packet, PacketHeader.SIZE, packet.length);
    }
}
