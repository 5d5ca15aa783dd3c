package io.thimble.vmm.event;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class SpinTimeTest {
    private final SpinTime time = new SpinTime(2);

    @Test
    void looks_around_as_long_as_the_last_waits_took_with_some_room() {
        time.waited(20_000);
        assertThat(time.nanos(0)).isEqualTo(40_000);
        time.waited(30_000);
        assertThat(time.nanos(0)).isEqualTo(40_000);
        time.waited(60_000);
        assertThat(time.nanos(0)).isEqualTo(120_000);
        time.waited(SpinTime.MOST);
        assertThat(time.nanos(0)).isEqualTo(SpinTime.MOST);
    }

    @Test
    void one_long_wait_among_short_ones_does_not_end_it() {
        time.waited(SpinTime.MOST);
        time.waited(SpinTime.MOST + 1);
        assertThat(time.nanos(0)).isEqualTo(SpinTime.MOST / 2);
    }

    @Test
    void a_loop_whose_events_are_far_apart_looks_no_more() {
        time.waited(SpinTime.MOST);
        long spent = 0;
        for (int i = 0; i < 1000; i++) {
            spent += time.nanos(0);
            time.waited(1_000_000_000);
        }
        assertThat(time.nanos(0)).isZero();
        assertThat(spent).as("nanoseconds spent in 1000 long waits").isLessThan(2 * SpinTime.MOST);
    }

    @Test
    void stops_when_somebody_else_needs_the_processor_for_a_pause_that_doubles_until_the_processor_is_its_own() {
        time.waited(50_000);
        long now = Long.MAX_VALUE - SpinTime.FIRST_PAUSE; // nanoTime may be anything, and wrap around
        long pause = SpinTime.FIRST_PAUSE;
        for (; pause < SpinTime.LONGEST_PAUSE; pause *= 2) {
            time.disturbed(now);
            assertThat(time.nanos(now)).isZero();
            time.waited(50_000);
            assertThat(time.nanos(now + pause - 1)).isZero();
            now += pause;
            assertThat(time.nanos(now)).isEqualTo(100_000);
            now += (SpinTime.SOON - 1) * pause;
        }
        time.disturbed(now);
        assertThat(time.nanos(now + SpinTime.LONGEST_PAUSE - 1)).isZero();
        now += SpinTime.LONGEST_PAUSE;
        assertThat(time.nanos(now)).isPositive();
        time.disturbed(now + SpinTime.SOON * SpinTime.LONGEST_PAUSE);
        assertThat(time.nanos(now + SpinTime.SOON * SpinTime.LONGEST_PAUSE + SpinTime.FIRST_PAUSE))
                .isPositive();
    }

    @Test
    void a_machine_with_one_processor_never_looks() {
        SpinTime alone = new SpinTime(1);
        alone.waited(1);
        alone.waited(20_000);
        assertThat(alone.nanos(0)).isZero();
    }

    @RepeatedTest(20)
    void is_never_more_than_the_most() {
        long seed = new SplittableRandom().nextLong();
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < 1000; i++) {
            time.waited(random.nextLong(2 * SpinTime.MOST));
            assertThat(time.nanos(0))
                    .as("seed %d", seed)
                    .matches(nanos -> nanos == 0 || (nanos >= SpinTime.LEAST && nanos <= SpinTime.MOST));
        }
    }
}
