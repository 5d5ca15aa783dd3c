package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.EventpollConstants;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TimerFdTest {
    private static final Duration LONG = Duration.ofSeconds(30);

    private final TimerFd timer = new TimerFd("timer");
    private final Epoll epoll = new Epoll("timer", 1);

    TimerFdTest() {
        epoll.add(timer.fd(), EventpollConstants.EPOLLIN, 0);
    }

    @AfterEach
    void close() {
        epoll.close();
        timer.close();
    }

    @Test
    void is_disarmed_at_first() {
        assertThat(timer.consume()).isZero();
        assertThat(epoll.await(Duration.ofMillis(5))).isZero();
    }

    @Test
    void fires_once_and_not_before_its_delay() {
        Duration delay = Duration.ofMillis(15);
        long start = System.nanoTime();
        timer.arm(delay, Duration.ZERO);

        assertThat(epoll.await(LONG)).isOne();

        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(delay);
        assertThat(timer.consume()).isOne();
        assertThat(timer.consume()).isZero();
        assertThat(epoll.await(Duration.ofMillis(20))).isZero();
    }

    @Test
    void fires_at_once_without_a_delay() {
        timer.arm(Duration.ZERO, Duration.ZERO);

        assertThat(epoll.await(LONG)).isOne();
        assertThat(timer.consume()).isOne();
    }

    @Test
    void fires_again_each_period() {
        timer.arm(Duration.ZERO, Duration.ofNanos(1_500_000));
        long expirations = 0;
        while (expirations < 5) {
            assertThat(epoll.await(LONG)).isOne();
            long more = timer.consume();
            assertThat(more).isPositive();
            expirations += more;
        }
    }

    @Test
    void delays_of_more_than_a_second_do_not_fire_at_once() {
        timer.arm(Duration.ofSeconds(3600, 5), Duration.ofSeconds(2));

        assertThat(epoll.await(Duration.ofMillis(5))).isZero();
    }

    @Test
    void disarm_forgets_an_expiration() {
        timer.arm(Duration.ZERO, Duration.ZERO);
        assertThat(epoll.await(LONG)).isOne();

        timer.disarm();

        assertThat(timer.consume()).isZero();
        assertThat(epoll.await(Duration.ofMillis(5))).isZero();
    }

    @Test
    void refuses_a_negative_delay() {
        assertThatThrownBy(() -> timer.arm(Duration.ofSeconds(-1), Duration.ZERO))
                .isInstanceOfSatisfying(
                        LinuxException.class, e -> assertThat(e.errno()).isEqualTo(Errnos.EINVAL));
    }

    @Test
    void may_be_closed_twice() {
        timer.close();
        timer.close();
        assertThat(timer.fd().isClosed()).isTrue();
    }
}
