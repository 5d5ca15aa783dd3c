package io.thimble.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class VirtualSwitchTest {
    private static final MacAddress MAC = MacAddress.parse("02:00:00:00:00:01");

    private final VirtualSwitch between = new VirtualSwitch("test");

    @Test
    void a_card_that_is_closed_twice_is_gone_once() {
        NetBackend card = between.connect(MAC);
        NetBackend other = between.connect(MacAddress.parse("02:00:00:00:00:02"));
        card.close();
        card.close();
        assertThat(between.size()).isOne();
        other.close();
    }

    @Test
    void an_address_is_one_card_s_until_that_is_closed() {
        NetBackend card = between.connect(MAC);
        assertThatThrownBy(() -> between.connect(MAC)).hasMessageContaining("02:00:00:00:00:01");
        card.close();
        between.connect(MAC).close();
    }
}
