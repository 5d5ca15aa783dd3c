package io.thimble.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.UnixSockets;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A device whose frames go through a stream, each behind its length as 32 bits, the most significant first: passt's way. */
class StreamBackendTest {
    private static final int RX = 0;
    private static final int TX = 1;
    private static final int MTU = 65520;
    /** The socket holds at least so many bytes while more is to come. */
    private static final int PAGE = 4096;

    private final SplittableRandom random = new SplittableRandom(7);
    private final List<String> failures = new ArrayList<>();
    private SocketChannel peer;
    private DeviceBench bench;
    private MockMmioDriver driver;
    private int closed;
    private NetDevice device;

    @BeforeEach
    void connect(@TempDir Path folder) throws IOException {
        Path path = folder.resolve("socket");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
                UnixSockets sockets = new UnixSockets()) {
            server.bind(UnixDomainSocketAddress.of(path));
            NetBackend backend = new StreamBackend(
                    "peer", sockets.connect(path.toString()), MTU, () -> "its last words", () -> closed++);
            peer = server.accept();
            NetConfig config = new NetConfig(
                    "net0", MacAddress.parse("02:00:00:00:00:01"), OptionalInt.empty(), true, NetLimits.NONE);
            device = new NetDevice(config, backend, listener());
            bench = new DeviceBench(device, 16 << 20);
        }
        driver = bench.driver();
        driver.start(NetFeatures.MRG_RXBUF | NetFeatures.STATUS, 64);
        bench.loop().run();
    }

    private DeviceListener listener() {
        return new DeviceListener() {
            @Override
            public void needsReset(String device, String message) {
                throw new AssertionError(message);
            }

            @Override
            public void hostFailure(String device, String message) {
                failures.add(message);
            }
        };
    }

    @AfterEach
    void close() throws IOException {
        bench.close();
        assertThat(device.close(Duration.ZERO)).as("once more").isTrue();
        assertThat(closed).isOne();
        peer.close();
    }

    private byte[] frame(int length) {
        byte[] frame = new byte[length];
        random.nextBytes(frame);
        System.arraycopy(MacAddress.parse("02:00:00:00:00:01").toBytes(), 0, frame, 0, MacAddress.BYTES);
        return frame;
    }

    private static ByteBuffer framed(byte[] frame) {
        return ByteBuffer.allocate(Integer.BYTES + frame.length)
                .putInt(frame.length)
                .put(frame)
                .flip();
    }

    /** Adds a frame to the driver's queue without telling the device. */
    private void add(byte[] frame) {
        byte[] packet = new byte[PacketHeader.SIZE + frame.length];
        System.arraycopy(frame, 0, packet, PacketHeader.SIZE, frame.length);
        int _ = driver.queue(TX).add(Piece.readable(bench.places().allocate(packet), packet.length));
    }

    private byte[] read(int length) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        while (bytes.hasRemaining()) {
            assertThat(peer.read(bytes)).isPositive();
        }
        return bytes.array();
    }

    private long offer(int length) {
        long at = bench.places().allocate(length, 16);
        int _ = driver.queue(RX).add(Piece.writable(at, length));
        driver.notifyQueue(RX);
        return at;
    }

    @Test
    void sends_each_frame_behind_its_length() throws IOException {
        byte[] first = frame(60);
        byte[] second = frame(1514);
        add(first);
        add(second);
        driver.notifyQueue(TX);
        bench.loop().run();
        assertThat(read(64)).isEqualTo(framed(first).array());
        assertThat(read(1518)).isEqualTo(framed(second).array());
    }

    @Test
    void a_frame_that_comes_byte_by_byte_arrives_whole_and_several_at_once_one_by_one() throws IOException {
        long[] at = {offer(2048), offer(2048), offer(2048)};
        byte[][] frames = {frame(60), frame(1514), frame(61)};
        ByteBuffer slow = framed(frames[0]);
        while (slow.hasRemaining()) {
            peer.write(ByteBuffer.wrap(new byte[] {slow.get()}));
            bench.loop().run();
        }
        ByteBuffer two = ByteBuffer.allocate(2048)
                .put(framed(frames[1]))
                .put(framed(frames[2]))
                .flip();
        peer.write(two);
        bench.loop().run();
        for (int i = 0; i < frames.length; i++) {
            assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(PacketHeader.SIZE + frames[i].length);
            assertThat(bench.places().bytes(at[i] + PacketHeader.SIZE, frames[i].length))
                    .isEqualTo(frames[i]);
        }
    }

    @Test
    void what_the_peer_does_not_take_waits_and_nothing_is_lost_or_torn() throws IOException {
        ByteArrayOutputStream expected = new ByteArrayOutputStream();
        for (int i = 0; i < 60; i++) {
            byte[] frame = frame(random.nextInt(14, 65535));
            expected.write(framed(frame).array());
            add(frame);
        }
        driver.notifyQueue(TX);
        bench.loop().run();
        assertThat(driver.queue(TX).freeDescriptors()).as("frames that wait").isLessThan(64);
        ByteArrayOutputStream got = new ByteArrayOutputStream();
        while (got.size() < expected.size()) {
            got.writeBytes(read(Math.min(PAGE, expected.size() - got.size())));
            bench.loop().run();
        }
        assertThat(got.toByteArray()).isEqualTo(expected.toByteArray());
        assertThat(failures).isEmpty();
    }

    @Test
    void a_length_that_no_frame_has_ends_the_link_and_nothing_else() throws IOException {
        peer.write(ByteBuffer.allocate(4).putInt(0).flip());
        offer(2048);
        bench.loop().run();
        assertThat(failures).singleElement().asString().contains("a frame of 0 bytes");
        add(frame(60));
        driver.notifyQueue(TX);
        bench.loop().run();
        assertThat(driver.queue(TX).takeUsed().length()).isZero();
    }

    @Test
    void the_end_of_the_peer_is_told_with_its_last_words() throws IOException {
        peer.close();
        offer(2048);
        bench.loop().run();
        assertThat(failures)
                .singleElement()
                .asString()
                .contains("peer: it has ended (its last words); the guest's link is down");
    }

    @Test
    void frames_that_wait_for_a_peer_that_ends_go_back_to_the_driver() throws IOException {
        int frames = 60;
        for (int i = 0; i < frames; i++) {
            add(frame(60_000));
        }
        driver.notifyQueue(TX);
        bench.loop().run();
        peer.close();
        bench.loop().run();
        for (int i = 0; i < frames; i++) {
            assertThat(driver.queue(TX).takeUsed().length()).isZero();
        }
    }

    @Test
    void a_frame_that_is_too_long_for_the_guest_s_buffer_is_dropped() throws IOException {
        driver.start(NetFeatures.STATUS, 64); // without mergeable buffers
        long at = offer(2048);
        peer.write(framed(Arrays.copyOf(frame(60), 65535)));
        byte[] next = frame(60);
        peer.write(framed(next));
        bench.loop().run();
        assertThat(driver.queue(RX).takeUsed().length()).isEqualTo(PacketHeader.SIZE + 60);
        assertThat(bench.places().bytes(at + PacketHeader.SIZE, 60)).isEqualTo(next);
    }
}
