package io.thimble.virtio.vsock;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CreditTest {
    private static final int WINDOW = 64 << 10;

    private final VsockHeader header = new VsockHeader();

    @ParameterizedTest
    @ValueSource(ints = {0, 0x7fff_ffff, -1, -100, Integer.MIN_VALUE})
    void counts_what_the_guest_may_send_also_where_counters_wrap(int start) {
        Credit credit = new Credit(WINDOW, start);
        credit.heard(1 << 20, start);
        assertThat(credit.mayReceive(WINDOW)).isTrue();
        assertThat(credit.mayReceive(WINDOW + 1)).isFalse();
        assertThat(credit.mayReceive(0xffff_ffffL)).isFalse();
        credit.received(WINDOW);
        assertThat(credit.mayReceive(1)).isFalse();
        credit.consumed(WINDOW / 2 - 1);
        assertThat(credit.updateDue()).isFalse();
        credit.consumed(WINDOW / 2);
        assertThat(credit.updateDue()).isTrue();
        assertThat(credit.mayReceive(1)).as("before the guest was told").isFalse();
        credit.stamp(header);
        assertThat(header.fwdCnt).isEqualTo(start + WINDOW / 2);
        assertThat(header.bufAlloc).isEqualTo(WINDOW);
        assertThat(credit.updateDue()).isFalse();
        assertThat(credit.mayReceive(WINDOW / 2)).isTrue();
        assertThat(credit.mayReceive(WINDOW / 2 + 1)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 0x7fff_ffff, -1, -100, Integer.MIN_VALUE})
    void counts_what_the_guest_has_room_for_also_where_counters_wrap(int start) {
        Credit credit = new Credit(WINDOW, start);
        assertThat(credit.peerFree()).as("before it has said anything").isZero();
        credit.heard(1000, start);
        assertThat(credit.peerFree()).isEqualTo(1000);
        credit.sent(1000);
        assertThat(credit.peerFree()).isZero();
        credit.heard(1000, start + 300);
        assertThat(credit.peerFree()).isEqualTo(300);
        credit.heard(-1, start + 1000);
        assertThat(credit.peerFree()).isEqualTo(0xffff_ffffL);
        credit.heard(-1, start + 1001);
        assertThat(credit.peerFree()).as("more than was sent").isZero();
    }
}
