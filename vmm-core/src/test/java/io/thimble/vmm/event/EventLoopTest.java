package io.thimble.vmm.event;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.EventFd;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.virtio.device.Poller;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(30)
class EventLoopTest {
    private final BlockingQueue<Throwable> failures = new LinkedBlockingQueue<>();
    private EventLoop loop;

    @BeforeEach
    void create() {
        loop = new EventLoop("test-loop", failures::add);
    }

    @AfterEach
    void end() throws InterruptedException {
        loop.stop();
        loop.thread().join();
        loop.discard();
        assertThat(failures).isEmpty();
    }

    @Test
    void runs_tasks_in_order_on_its_own_thread() throws InterruptedException {
        List<Integer> order = new ArrayList<>();
        AtomicReference<Boolean> onLoop = new AtomicReference<>();
        CountDownLatch done = new CountDownLatch(1);
        loop.start();
        for (int i = 0; i < 1000; i++) {
            int n = i;
            assertThat(loop.post(() -> order.add(n))).isTrue();
        }
        loop.post(() -> {
            onLoop.set(loop.isLoopThread());
            done.countDown();
        });
        done.await();
        assertThat(order).hasSize(1000).isSorted();
        assertThat(onLoop).hasValue(true);
        assertThat(loop.isLoopThread()).isFalse();
    }

    @Test
    void calls_the_handler_of_a_descriptor_that_is_ready_until_it_is_unwatched() throws InterruptedException {
        BlockingQueue<Long> counts = new LinkedBlockingQueue<>();
        try (EventFd event = new EventFd("test")) {
            long key = loop.watch(event.fd(), EventpollConstants.EPOLLIN, () -> counts.add(event.consume()));
            loop.start();
            event.signal();
            assertThat(counts.poll(10, TimeUnit.SECONDS)).isEqualTo(1);
            CountDownLatch unwatched = new CountDownLatch(1);
            loop.post(() -> {
                loop.unwatch(event.fd(), key);
                unwatched.countDown();
            });
            unwatched.await();
            event.signal();
            CountDownLatch later = new CountDownLatch(1);
            loop.post(later::countDown);
            later.await();
            assertThat(counts).isEmpty();
        }
    }

    @Test
    void goes_on_after_a_task_that_throws_and_tells_the_failure_handler() throws InterruptedException {
        CountDownLatch done = new CountDownLatch(1);
        loop.start();
        loop.post(() -> {
            throw new IllegalStateException("of the test");
        });
        loop.post(done::countDown);
        done.await();
        assertThat(failures.poll()).hasMessage("of the test");
    }

    @Test
    void runs_what_was_posted_before_stop_and_refuses_what_comes_after() throws InterruptedException {
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch go = new CountDownLatch(1);
        CountDownLatch last = new CountDownLatch(1);
        loop.start();
        loop.post(() -> {
            entered.countDown();
            try {
                go.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        loop.post(last::countDown);
        entered.await();
        loop.stop();
        assertThat(loop.post(() -> {})).isFalse();
        go.countDown();
        assertThat(loop.thread().join(Duration.ofSeconds(10))).isTrue();
        assertThat(last.getCount()).isZero();
    }

    @Test
    void a_task_that_posts_itself_lets_descriptors_have_their_turn() throws InterruptedException {
        CountDownLatch served = new CountDownLatch(1);
        try (EventFd event = new EventFd("test")) {
            loop.watch(event.fd(), EventpollConstants.EPOLLIN, () -> {
                event.consume();
                served.countDown();
            });
            loop.start();
            Runnable[] task = new Runnable[1];
            task[0] = () -> {
                if (served.getCount() > 0) {
                    loop.post(task[0]);
                }
            };
            loop.post(task[0]);
            event.signal();
            assertThat(served.await(10, TimeUnit.SECONDS)).isTrue();
        }
    }

    @Test
    void a_key_that_was_given_back_finds_no_handler_even_when_its_place_is_used_again() {
        Watches watches = new Watches();
        Runnable first = () -> {};
        Runnable second = () -> {};
        long old = watches.add(first);
        assertThat(watches.handler(old)).isSameAs(first);
        watches.remove(old);
        assertThat(watches.handler(old)).isNull();
        long key = watches.add(second);
        assertThat(key).isNotEqualTo(old).isPositive();
        assertThat(watches.handler(old)).isNull();
        watches.remove(old);
        assertThat(watches.handler(key)).isSameAs(second);
        for (int i = 0; i < 100; i++) {
            assertThat(watches.handler(watches.add(second))).isSameAs(second);
        }
    }

    /** Has {@code work} to find, of which nobody tells the loop. */
    private static final class CountingPoller implements Poller {
        private final AtomicInteger work;
        private final CountDownLatch none = new CountDownLatch(1);
        private final CountDownLatch asleep = new CountDownLatch(1);

        CountingPoller(int work) {
            this.work = new AtomicInteger(work);
        }

        @Override
        public boolean poll() {
            if (work.get() == 0) {
                return false;
            }
            if (work.decrementAndGet() == 0) {
                none.countDown();
            }
            return true;
        }

        @Override
        public boolean beforeSleep() {
            if (work.get() > 0) {
                return true;
            }
            asleep.countDown();
            return false;
        }
    }

    @Test
    void does_not_sleep_while_a_poller_finds_work() throws InterruptedException {
        CountingPoller poller = new CountingPoller(1000);
        loop.addPoller(poller);
        loop.start();
        assertThat(poller.none.await(10, TimeUnit.SECONDS)).isTrue();
        assertThat(poller.asleep.await(10, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void a_poller_that_always_finds_work_lets_descriptors_and_tasks_have_their_turn() throws InterruptedException {
        CountingPoller poller = new CountingPoller(Integer.MAX_VALUE);
        CountDownLatch ran = new CountDownLatch(1);
        CountDownLatch served = new CountDownLatch(1);
        loop.addPoller(poller);
        try (EventFd event = new EventFd("test")) {
            loop.watch(event.fd(), EventpollConstants.EPOLLIN, () -> {
                event.consume();
                served.countDown();
            });
            loop.start();
            loop.post(ran::countDown);
            assertThat(ran.await(10, TimeUnit.SECONDS)).isTrue();
            // No task makes the loop look at its descriptors now.
            event.signal();
            assertThat(served.await(10, TimeUnit.SECONDS)).isTrue();
        }
    }

    @Test
    void a_poller_that_always_finds_work_lets_others_have_their_turn_where_the_loop_never_looks_around()
            throws InterruptedException {
        EventLoop busy = new EventLoop("busy-loop", failures::add, new SpinTime(1));
        CountingPoller other = new CountingPoller(1000);
        busy.addPoller(new CountingPoller(Integer.MAX_VALUE));
        busy.addPoller(other);
        busy.start();
        assertThat(other.none.await(10, TimeUnit.SECONDS)).isTrue();
        assertThat(other.asleep.await(10, TimeUnit.SECONDS)).isTrue();
        busy.stop();
        busy.thread().join();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void what_the_failure_handler_posts_is_run_though_nothing_else_wakes_the_loop(boolean whilePolling)
            throws InterruptedException {
        CountDownLatch ran = new CountDownLatch(1);
        CompletableFuture<EventLoop> created = new CompletableFuture<>();
        EventLoop failing = new EventLoop("failing-loop", _ -> created.join().stop(ran::countDown), new SpinTime(1));
        created.complete(failing);
        failing.addPoller(new Poller() {
            @Override
            public boolean poll() {
                throw new IllegalStateException("of the test");
            }

            @Override
            public boolean beforeSleep() {
                if (whilePolling) {
                    return true;
                }
                throw new IllegalStateException("of the test");
            }
        });
        failing.start();
        assertThat(ran.await(10, TimeUnit.SECONDS)).isTrue();
        failing.thread().join();
    }

    @Test
    void asks_no_poller_that_was_removed_and_goes_on_after_one_that_throws() throws InterruptedException {
        CountDownLatch asked = new CountDownLatch(1);
        Poller broken = new Poller() {
            @Override
            public boolean poll() {
                asked.countDown();
                throw new IllegalStateException("of the test");
            }

            @Override
            public boolean beforeSleep() {
                return true;
            }
        };
        loop.addPoller(broken);
        loop.start();
        assertThat(asked.await(10, TimeUnit.SECONDS)).isTrue();
        CountDownLatch removed = new CountDownLatch(1);
        loop.post(() -> {
            loop.removePoller(broken);
            removed.countDown();
        });
        assertThat(removed.await(10, TimeUnit.SECONDS)).isTrue();
        assertThat(failures).isNotEmpty().allMatch(failure -> "of the test".equals(failure.getMessage()));
        failures.clear();
    }
}
