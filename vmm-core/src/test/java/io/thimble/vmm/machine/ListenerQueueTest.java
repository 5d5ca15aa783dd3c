package io.thimble.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.VmListener;
import io.thimble.vmm.VmState;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class ListenerQueueTest {
    private final BlockingQueue<String> seen = new LinkedBlockingQueue<>();

    private final VmListener recorder = new VmListener() {
        @Override
        public void stateChanged(VmState state) {
            seen.add(state.name());
        }

        @Override
        public void commandEnded(int status) {
            seen.add("status " + status);
        }
    };

    @Test
    void tells_events_in_the_order_in_which_they_were_added() throws InterruptedException {
        ListenerQueue queue = new ListenerQueue("test", List.of(recorder));
        for (int i = 0; i < 1000; i++) {
            int status = i;
            queue.add(l -> l.commandEnded(status));
        }
        for (int i = 0; i < 1000; i++) {
            assertThat(seen.poll(10, TimeUnit.SECONDS)).isEqualTo("status " + i);
        }
    }

    @Test
    void a_listener_that_throws_keeps_nothing_from_the_others() throws InterruptedException {
        VmListener broken = new VmListener() {
            @Override
            public void stateChanged(VmState state) {
                throw new IllegalStateException("of the test");
            }
        };
        ListenerQueue queue = new ListenerQueue("test", List.of(broken, recorder));
        queue.add(l -> l.stateChanged(VmState.RUNNING));
        queue.add(l -> l.stateChanged(VmState.STOPPED));
        assertThat(seen.poll(10, TimeUnit.SECONDS)).isEqualTo("RUNNING");
        assertThat(seen.poll(10, TimeUnit.SECONDS)).isEqualTo("STOPPED");
    }

    @Test
    void a_listener_that_blocks_does_not_block_who_adds() throws InterruptedException {
        CountDownLatch release = new CountDownLatch(1);
        VmListener blocking = new VmListener() {
            @Override
            public void ready() {
                try {
                    release.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
        };
        ListenerQueue queue = new ListenerQueue("test", List.of(blocking, recorder));
        queue.add(VmListener::ready);
        queue.add(l -> l.commandEnded(7));
        assertThat(seen).isEmpty();
        release.countDown();
        assertThat(seen.poll(10, TimeUnit.SECONDS)).isEqualTo("status 7");
    }
}
