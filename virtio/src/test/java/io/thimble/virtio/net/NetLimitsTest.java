package io.thimble.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.thimble.virtio.device.RateLimits;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Rates of bytes and frames, each way by itself. */
class NetLimitsTest extends NetBench {
    /** Next to nothing a second, after a burst: what is over it does not go in a test's time. */
    private static final RateLimits FOUR_FRAMES = new RateLimits(0, 0, 1, 4);

    private static final RateLimits THOUSAND_BYTES = new RateLimits(1, 1000, 0, 0);

    private void useLimits(RateLimits receive, RateLimits transmit) {
        use(new FakeBackend(1), new NetLimits(receive, transmit));
        start();
        for (int i = 0; i < 64; i++) {
            offerBuffer(1536);
        }
        notifyReceive();
    }

    private void change(NetLimits limits) {
        device.setLimits(limits);
        device.limitsChanged();
    }

    private void sendAtOnce(int count, int length) {
        for (int i = 0; i < count; i++) {
            byte[] packet = packet(frame(length));
            driver.queue(TX).add(Piece.readable(places.allocate(packet), packet.length));
        }
        driver.notifyQueue(TX);
        loop.run();
    }

    private void comeAtOnce(int count, int length) {
        for (int i = 0; i < count; i++) {
            backend.come(frame(length));
        }
        loop.run();
    }

    @Test
    void frames_over_the_limit_wait_in_the_drivers_queue_or_in_the_back_end() {
        useLimits(FOUR_FRAMES, NetLimits.NONE.transmit());
        comeAtOnce(20, 60);
        assertThat(device.statistics().receivedFrames()).isEqualTo(4);
        assertThat(backend.coming).hasSize(16);
        sendAtOnce(20, 60);
        assertThat(backend.sent).as("the other way is free").hasSize(20);

        useLimits(NetLimits.NONE.receive(), FOUR_FRAMES);
        sendAtOnce(20, 60);
        assertThat(backend.sent).hasSize(4);
        assertThat(device.statistics().sendDropped()).isZero();
        comeAtOnce(20, 60);
        assertThat(device.statistics().receivedFrames()).isEqualTo(20);
    }

    @Test
    void bytes_count_without_the_header_and_a_frame_may_be_larger_than_the_burst() {
        useLimits(THOUSAND_BYTES, THOUSAND_BYTES);
        sendAtOnce(3, 500);
        assertThat(backend.sent).hasSize(2);
        comeAtOnce(3, 500);
        assertThat(device.statistics().receivedFrames()).isEqualTo(2);

        useLimits(THOUSAND_BYTES, THOUSAND_BYTES);
        sendAtOnce(3, 1500);
        assertThat(backend.sent).hasSize(1);
    }

    @Test
    void what_waits_goes_by_itself_when_its_time_has_come() {
        RateLimits fast = new RateLimits(0, 0, 200, 1);
        useLimits(fast, fast);
        byte[][] frames = new byte[20][];
        Arrays.setAll(frames, i -> frame(60 + i));
        long begin = System.nanoTime();
        for (byte[] frame : frames) {
            byte[] packet = packet(frame);
            driver.queue(TX).add(Piece.readable(places.allocate(packet), packet.length));
            backend.come(frame);
        }
        driver.notifyQueue(TX);
        loop.runUntil(() -> backend.sent.size() == 20 && device.statistics().receivedFrames() == 20);
        assertThat(System.nanoTime() - begin).as("19 wait for 5 ms each").isGreaterThan(19 * 5_000_000L - 1_000_000);
        assertThat(backend.sent).containsExactly(frames);
    }

    @Test
    void limits_change_at_once_while_frames_wait() {
        useLimits(FOUR_FRAMES, FOUR_FRAMES);
        sendAtOnce(20, 60);
        comeAtOnce(20, 60);
        change(NetLimits.NONE);
        loop.run();
        assertThat(backend.sent).hasSize(20);
        assertThat(device.statistics().receivedFrames()).isEqualTo(20);
        NetLimits few = NetLimits.both(FOUR_FRAMES);
        change(few);
        assertThat(device.limits()).isEqualTo(few);
        sendAtOnce(20, 60);
        assertThat(backend.sent).hasSize(24);
    }

    @Test
    void a_pause_and_a_reset_forget_nothing_and_keep_nothing() {
        useLimits(FOUR_FRAMES, FOUR_FRAMES);
        sendAtOnce(20, 60);
        device.pause(() -> {});
        change(NetLimits.NONE);
        loop.run();
        assertThat(backend.sent).hasSize(4);
        device.resume();
        loop.run();
        assertThat(backend.sent).hasSize(20);
        change(NetLimits.both(FOUR_FRAMES));
        sendAtOnce(20, 60);
        start();
        change(NetLimits.NONE);
        sendAtOnce(3, 60);
        assertThat(backend.sent).as("of the driver before: 4; of this one: 3").hasSize(27);
    }

    @Test
    void impossible_limits_are_refused_with_what_to_write() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RateLimits.of(-1, 0))
                .withMessageContaining("bytes a second: -1")
                .withMessageContaining("use 0 for no limit");
    }
}
