package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.Syscalls;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class FdTest {
    @Test
    void opens_a_file_that_child_processes_do_not_inherit() {
        try (Fd fd = Fd.open("/dev/null", FcntlConstants.O_RDWR)) {
            assertThat(Syscall.call(Syscalls.SYS_fcntl, fd.number(), FcntlConstants.F_GETFD))
                    .isEqualTo(FcntlConstants.FD_CLOEXEC);
            assertThat(fd.name()).isEqualTo("/dev/null");
            assertThat(fd).hasToString("/dev/null (fd " + fd.number() + ")");
        }
    }

    @Test
    void names_the_path_that_cannot_be_opened() {
        assertThatThrownBy(() -> Fd.open("/nonexistent/file", FcntlConstants.O_RDONLY))
                .isInstanceOfSatisfying(
                        LinuxException.class, e -> assertThat(e.errno()).isEqualTo(Errnos.ENOENT))
                .hasMessage("/nonexistent/file: ENOENT (No such file or directory)");
    }

    @Test
    void rejects_a_number_that_is_none() {
        assertThatIllegalArgumentException().isThrownBy(() -> new Fd(-1, "none"));
    }

    @Test
    void refuses_use_after_close() {
        Fd fd = MemFd.create("closed", 0);
        assertThat(fd.isClosed()).isFalse();
        fd.close();

        assertThat(fd.isClosed()).isTrue();
        assertThat(fd).hasToString("closed (closed)");
        assertThatIllegalStateException().isThrownBy(fd::number).withMessage("closed is closed");
    }

    @Test
    void a_second_close_spares_the_next_owner_of_the_number() {
        Fd first = MemFd.create("first", 0);
        int number = first.number();
        first.close();
        assertThat(Syscall.call(Syscalls.SYS_dup2, 0, number)).isEqualTo(number);
        first.close();

        assertThat(Syscall.call(Syscalls.SYS_close, number)).isZero();
    }

    @Test
    void only_one_of_two_concurrent_closers_closes() throws Exception {
        int rounds = 5_000;
        // Numbers that no process has open: what counts is who is told to have closed.
        Fd[] fds = new Fd[rounds];
        for (int i = 0; i < rounds; i++) {
            fds[i] = new Fd(Integer.MAX_VALUE - i, "contended");
        }
        AtomicInteger arrived = new AtomicInteger();
        List<BlockedThread<Integer>> threads = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            threads.add(BlockedThread.start(() -> {
                int closed = 0;
                for (int round = 0; round < rounds; round++) {
                    arrived.incrementAndGet();
                    while (arrived.get() < 2 * (round + 1)) {
                        Thread.onSpinWait();
                    }
                    closed += fds[round].closeIfOpen() ? 1 : 0;
                }
                return closed;
            }));
        }
        assertThat(threads.get(0).result() + threads.get(1).result()).isEqualTo(rounds);
    }
}
