package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.virtio.device.RateLimits;
import io.thimble.virtio.net.NetLimits;
import io.thimble.vmm.Network;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NetOptionTest {
    @Test
    void reads_a_tap_with_all_its_settings() {
        Network card = NetOption.parse(
                "tap=vm0,mac=02:00:00:00:00:01,mtu=9000,queues=2,offloads=off,ip=192.0.2.2/24,gateway=192.0.2.1,create");

        assertThat(card.link()).isEqualTo(new Network.Tap("vm0", true));
        assertThat(card.mac()).hasValue("02:00:00:00:00:01");
        assertThat(card.mtu()).hasValue(9000);
        assertThat(card.queues()).isEqualTo(2);
        assertThat(card.offloads()).isFalse();
        assertThat(card.address().orElseThrow().kernelParameter("eth0"))
                .isEqualTo("ip=192.0.2.2::192.0.2.1:255.255.255.0::eth0:off:");
    }

    @Test
    void passt_asks_for_an_address_unless_told_not_to() {
        assertThat(NetOption.parse("passt").address().orElseThrow().dhcp()).isTrue();
        assertThat(NetOption.parse("passt,ip=none").address()).isEmpty();
    }

    @Test
    void reads_limits_for_both_ways_or_one_in_bytes_and_frames() {
        assertThat(NetOption.parse("switch=s").limits()).isEqualTo(NetLimits.NONE);
        assertThat(NetOption.parse("switch=s,bps=100M,pps=20k/s").limits())
                .isEqualTo(NetLimits.both(RateLimits.of(100 << 20, 20_000)));
        assertThat(NetOption.parse("passt,bps=1MiB/s,tx-bps=64K,rx-pps=500").limits())
                .isEqualTo(new NetLimits(RateLimits.of(1 << 20, 500), RateLimits.of(64 << 10, 0)));
    }

    @Test
    void published_ports_belong_to_the_card_before() {
        RunOptions options =
                RunParser.parse(List.of("--net", "passt", "--publish", "8080:80", "--publish=0.0.0.0:53:5353"));
        assertThat(options.networks.getFirst().link())
                .isInstanceOfSatisfying(
                        Network.Passt.class,
                        passt -> assertThat(passt.published()).hasSize(2));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "cable=x | tap=NAME, switch=NAME or passt",
                "tap=a-name-that-is-too-long | 1 to 15 bytes",
                "tap=t,mac=01:00:5e:00:00:01 | unicast",
                "tap=t,mac=nonsense | six bytes",
                "tap=t,mtu=5 | 68 to 65535",
                "tap=t,mtu=x | not a number",
                "tap=t,queues=17 | 1 to 16",
                "switch=s,queues=2 | only a TAP",
                "tap=t,ip=192.0.2.256/24 | as in 192.0.2.2/24",
                "tap=t,gateway=192.0.2.1 | comes behind ip=",
                "tap=t,queue=2 | did you mean queues",
                "tap=t,bps=fast | --net ...bps fast: not a size",
                "tap=t,tx-bps=-1 | --net ...tx-bps -1: not a size",
                "tap=t,pps=1.5 | --net ...pps=1.5: write a number like 500, 20k or 1M",
                "tap=t,rx-bsp=1 | did you mean rx-bps",
                "passt,create | only a TAP",
            })
    void refuses_nonsense_and_says_what_to_write(String value, String message) {
        assertThatExceptionOfType(UsageException.class)
                .isThrownBy(() -> NetOption.parse(value))
                .withMessageContaining(message);
    }
}
