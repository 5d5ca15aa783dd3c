package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.Test;

class EventFdTest {
    private static final long FULL = 0xffff_ffff_ffff_fffeL;

    @Test
    void counts_signals_until_they_are_consumed() {
        try (EventFd event = new EventFd("test")) {
            assertThat(event.consume()).isZero();
            event.signal();
            event.signal();
            event.signal();

            assertThat(event.consume()).isEqualTo(3);
            assertThat(event.consume()).isZero();
        }
    }

    @Test
    void a_signal_to_a_full_count_is_no_error() {
        try (EventFd event = new EventFd("full");
                Arena arena = Arena.ofConfined()) {
            MemorySegment full = arena.allocateFrom(ValueLayout.JAVA_LONG, FULL);
            assertThat(Syscall.call(Syscalls.SYS_write, event.fd().number(), full.address(), Long.BYTES))
                    .isEqualTo(Long.BYTES);

            event.signal();

            assertThat(event.consume()).isEqualTo(FULL);
        }
    }

    @Test
    void loses_no_signal_of_many_threads() throws Exception {
        try (EventFd event = new EventFd("many")) {
            CyclicBarrier start = new CyclicBarrier(3);
            List<BlockedThread<Integer>> threads = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                threads.add(BlockedThread.start(() -> {
                    start.await();
                    for (int n = 0; n < 2000; n++) {
                        event.signal();
                    }
                    return 0;
                }));
            }
            long seen = 0;
            for (BlockedThread<Integer> thread : threads) {
                while (!thread.isDone()) {
                    seen += event.consume();
                }
                thread.result();
            }
            assertThat(seen + event.consume()).isEqualTo(6000);
        }
    }

    @Test
    void may_be_closed_twice_and_refuses_use_afterwards() {
        EventFd event = new EventFd("twice");
        event.close();
        event.close();

        assertThat(event.fd().isClosed()).isTrue();
        assertThatIllegalStateException().isThrownBy(event::signal).withMessage("twice is closed");
        assertThatIllegalStateException().isThrownBy(event::consume);
    }

    @Test
    void may_be_closed_by_many_threads_at_once() throws Exception {
        EventFd[] events = new EventFd[500];
        for (int i = 0; i < events.length; i++) {
            events[i] = new EventFd("contended");
        }
        CyclicBarrier round = new CyclicBarrier(2);
        List<BlockedThread<Integer>> threads = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            threads.add(BlockedThread.start(() -> {
                for (EventFd event : events) {
                    round.await();
                    event.close();
                }
                return events.length;
            }));
        }
        for (BlockedThread<Integer> thread : threads) {
            assertThat(thread.result()).isEqualTo(events.length);
        }
    }
}
