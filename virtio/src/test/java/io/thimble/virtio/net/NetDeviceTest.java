package io.thimble.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.linux.abi.VirtioNetConstants;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.util.Arrays;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** The configuration, frames on their way out, the link, and pauses. */
class NetDeviceTest extends NetBench {
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
        use(new FakeBackend(4), NetLimits.NONE);
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
        assertThatThrownBy(() -> new NetConfig(
                        "n", MacAddress.parse("01:00:5e:00:00:01"), OptionalInt.empty(), true, NetLimits.NONE))
                .hasMessageContaining("unicast");
        assertThatThrownBy(() -> new NetConfig("n", MAC, OptionalInt.of(67), true, NetLimits.NONE))
                .hasMessageContaining("68 to 65535");
        assertThatThrownBy(() -> MacAddress.parse("02:00:00:00:00")).hasMessageContaining("six bytes");
        assertThat(MacAddress.random().isUnicast()).isTrue();
    }
}
