package io.thimble.virtio.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.SplittableRandom;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class TokenBucketTest {
    private static final long SECOND = 1_000_000_000L;

    @Test
    void no_rate_is_no_limit() {
        TokenBucket bucket = new TokenBucket(0, 0, 0);
        bucket.take(Long.MAX_VALUE);
        bucket.take(Long.MAX_VALUE);
        assertThat(bucket.delay(0)).isZero();
    }

    @Test
    void lets_a_burst_through_then_the_rate() {
        TokenBucket bucket = new TokenBucket(100, 10, 0);
        for (int i = 0; i < 10; i++) {
            assertThat(bucket.delay(0)).isZero();
            bucket.take(1);
        }
        assertThat(bucket.delay(0)).isEqualTo(SECOND / 100);
        assertThat(bucket.delay(SECOND / 100)).isZero();
        bucket.take(1);
        assertThat(bucket.delay(SECOND / 100)).isEqualTo(SECOND / 100);
    }

    @Test
    void silence_saves_up_no_more_than_the_burst() {
        TokenBucket bucket = new TokenBucket(100, 10, 0);
        bucket.take(10);
        assertThat(bucket.delay(3600 * SECOND)).isZero();
        bucket.take(10);
        assertThat(bucket.delay(3600 * SECOND)).isPositive();
    }

    @Test
    void a_request_larger_than_the_burst_passes_and_is_paid_for() {
        TokenBucket bucket = new TokenBucket(1000, 10, 0);
        assertThat(bucket.delay(0)).isZero();
        bucket.take(2010);
        assertThat(bucket.delay(SECOND)).isEqualTo(SECOND + SECOND / 1000);
        assertThat(bucket.delay(2 * SECOND + SECOND / 1000)).isZero();
    }

    @RepeatedTest(20)
    void holds_the_rate_whenever_it_is_asked() {
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        long rate = 1 + random.nextLong(1L << random.nextInt(40));
        long burst = 1 + random.nextLong(rate);
        TokenBucket bucket = new TokenBucket(rate, burst, 0);
        long now = 0;
        double taken = 0;
        long largest = 0;
        for (int i = 0; i < 10_000; i++) {
            now += random.nextLong(SECOND / 100);
            if (bucket.delay(now) == 0) {
                long amount = 1 + random.nextLong(burst);
                largest = Math.max(largest, amount);
                bucket.take(amount);
                taken += amount;
            }
        }
        double allowed = burst + largest + (double) rate * now / SECOND;
        assertThat(taken).as("seed %d", seed).isLessThanOrEqualTo(allowed * 1.000001);
        now += bucket.delay(now);
        assertThat(bucket.delay(now)).as("seed %d", seed).isZero();
    }

    @Test
    void limits_need_a_burst() {
        assertThat(RateLimits.of(5, 0).bytesBurst()).isEqualTo(1);
        assertThat(RateLimits.NONE.isLimited()).isFalse();
        assertThatIllegalArgumentException().isThrownBy(() -> new RateLimits(5, 0, 0, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> RateLimits.of(-1, 0));
    }
}
