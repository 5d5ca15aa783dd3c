package io.thimble.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Frames on their way to the driver. */
class NetReceiveTest extends NetBench {
    @Test
    void spreads_a_frame_over_as_many_buffers_as_it_takes() {
        checkThatAFrameIsSpread();
    }

    void checkThatAFrameIsSpread() {
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
