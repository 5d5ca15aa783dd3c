package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.linux.abi.Syscalls;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class EpollTest {
    private static final int IN = EventpollConstants.EPOLLIN;

    private final Epoll epoll = new Epoll("test", 4);
    private final EventFd event = new EventFd("event");

    @AfterEach
    void close() {
        epoll.close();
        event.close();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void gives_back_the_data_of_each_ready_descriptor(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        EventFd[] events = new EventFd[4];
        Set<Long> data = new HashSet<>();
        for (int i = 0; i < events.length; i++) {
            events[i] = new EventFd("event " + i);
            long value = random.nextLong();
            data.add(value);
            epoll.add(events[i].fd(), IN, value);
            events[i].signal();
        }

        int ready = epoll.await(Duration.ZERO);

        Set<Long> seen = new HashSet<>();
        for (int i = 0; i < ready; i++) {
            assertThat(epoll.events(i)).isEqualTo(IN);
            seen.add(epoll.data(i));
        }
        assertThat(seen).as("seed %d", seed).isEqualTo(data);
        for (EventFd e : events) {
            e.close();
        }
    }

    @Test
    void hands_out_no_more_events_than_its_capacity() {
        try (Epoll one = new Epoll("one", 1);
                EventFd other = new EventFd("other")) {
            one.add(event.fd(), IN, 1);
            one.add(other.fd(), IN, 2);
            event.signal();
            other.signal();

            assertThat(one.await(Duration.ZERO)).isOne();
            long first = one.data(0);
            assertThat(one.await(Duration.ZERO)).isOne();
            assertThat(one.data(0)).isEqualTo(3 - first);
        }
    }

    @Test
    void modify_changes_interest_and_data() {
        epoll.add(event.fd(), IN, 1);
        epoll.modify(event.fd(), EventpollConstants.EPOLLOUT, 2);

        assertThat(epoll.await(Duration.ZERO)).isOne();
        assertThat(epoll.events(0)).isEqualTo(EventpollConstants.EPOLLOUT);
        assertThat(epoll.data(0)).isEqualTo(2);
    }

    @Test
    void remove_ends_the_watch() {
        epoll.add(event.fd(), IN, 1);
        event.signal();
        epoll.remove(event.fd());

        assertThat(epoll.await(Duration.ZERO)).isZero();
    }

    @Test
    void says_which_descriptor_is_watched_twice_or_not_at_all() {
        epoll.add(event.fd(), IN, 1);
        assertThatThrownBy(() -> epoll.add(event.fd(), IN, 1))
                .isInstanceOfSatisfying(
                        LinuxException.class, e -> assertThat(e.errno()).isEqualTo(Errnos.EEXIST))
                .hasMessageStartingWith("epoll_ctl of event (fd " + event.fd().number() + ")");
        epoll.remove(event.fd());
        assertThatThrownBy(() -> epoll.remove(event.fd()))
                .isInstanceOfSatisfying(
                        LinuxException.class, e -> assertThat(e.errno()).isEqualTo(Errnos.ENOENT));
    }

    @Test
    void waits_until_its_deadline_and_not_less() {
        epoll.add(event.fd(), IN, 1);
        long start = System.nanoTime();

        assertThat(epoll.await(Duration.ofNanos(20_000_001))).isZero();

        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(Duration.ofMillis(21));
    }

    @Test
    void a_deadline_that_has_passed_does_not_wait() throws Exception {
        BlockedThread<Integer> waiter = BlockedThread.start(() -> epoll.await(Duration.ofSeconds(-1)));

        assertThat(waiter.result()).isZero();
    }

    @Test
    void a_deadline_beyond_all_clocks_waits_for_the_event() {
        epoll.add(event.fd(), IN, 1);
        event.signal();

        assertThat(epoll.await(Duration.ofSeconds(Long.MAX_VALUE))).isOne();
    }

    @Test
    void wakes_when_an_event_comes() throws Exception {
        epoll.add(event.fd(), IN, 7);
        BlockedThread<Integer> waiter =
                BlockedThread.start(() -> epoll.await()).awaitBlockedIn(Syscalls.SYS_epoll_pwait);

        event.signal();

        assertThat(waiter.result()).isOne();
        assertThat(epoll.data(0)).isEqualTo(7);
    }

    @Test
    void returns_zero_after_a_signal() throws Exception {
        BlockedThread<Integer> waiter =
                BlockedThread.start(() -> epoll.await()).awaitBlockedIn(Syscalls.SYS_epoll_pwait);

        Signals.kick(waiter.threadId());

        assertThat(waiter.result()).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 0})
    void rejects_a_capacity_that_is_none(int capacity) {
        assertThatIllegalArgumentException().isThrownBy(() -> new Epoll("none", capacity));
    }

    @Test
    void may_be_closed_twice() {
        epoll.close();
        epoll.close();
    }
}
