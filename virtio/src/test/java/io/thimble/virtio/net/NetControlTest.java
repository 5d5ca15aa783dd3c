package io.thimble.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.VirtioNetConstants;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** The control queue, and the filter that it sets. */
class NetControlTest extends NetBench {
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
}
