package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.Syscalls;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
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
    void only_one_of_many_concurrent_closers_closes() throws Exception {
        int closers = 4;
        int rounds = 1000;
        Fd[] fds = new Fd[rounds];
        for (int i = 0; i < rounds; i++) {
            fds[i] = MemFd.create("contended", 0);
        }
        CyclicBarrier round = new CyclicBarrier(closers);
        List<BlockedThread<List<Integer>>> threads = new ArrayList<>();
        for (int i = 0; i < closers; i++) {
            threads.add(BlockedThread.start(() -> {
                List<Integer> own = new ArrayList<>();
                for (Fd fd : fds) {
                    round.await();
                    fd.close();
                    own.add((int) Syscall.call(Syscalls.SYS_dup, 0));
                }
                return own;
            }));
        }

        // Each descriptor opened behind a close is still open and nobody else's: no close took it away again.
        Set<Integer> all = new HashSet<>();
        for (BlockedThread<List<Integer>> thread : threads) {
            all.addAll(thread.result());
        }
        assertThat(all).hasSize(closers * rounds);
        assertThat(all)
                .allSatisfy(number ->
                        assertThat(Syscall.call(Syscalls.SYS_close, number)).isZero());
    }
}
