package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.Syscalls;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class MemFdTest {
    /** lseek(2): the next byte that is not in a hole. */
    private static final int SEEK_DATA = 3;

    @Test
    void has_its_length_and_takes_no_space() throws IOException {
        long length = (1L << 30) + 4321;
        try (Fd file = MemFd.create("sparse", length)) {
            assertThat(Files.size(Path.of("/proc/self/fd/" + file.number()))).isEqualTo(length);
            assertThat(Syscall.call(Syscalls.SYS_lseek, file.number(), 0, SEEK_DATA))
                    .isEqualTo(-Errnos.ENXIO);
        }
    }

    @Test
    void is_not_inherited_and_shows_its_name() throws IOException {
        try (Fd file = MemFd.create("thimble-named", 0)) {
            assertThat(ProcSelf.descriptorsOf("memfd:thimble-named")).isOne();
            assertThat(Syscall.call(Syscalls.SYS_fcntl, file.number(), FcntlConstants.F_GETFD))
                    .isEqualTo(FcntlConstants.FD_CLOEXEC);
        }
        assertThat(ProcSelf.descriptorsOf("memfd:thimble-named")).isZero();
    }

    @Test
    void a_length_that_is_refused_leaves_no_descriptor() throws IOException {
        assertThatThrownBy(() -> MemFd.create("thimble-negative", -1))
                .isInstanceOf(LinuxException.class)
                .hasMessage("ftruncate of thimble-negative to -1 bytes: EINVAL (Invalid argument)");
        assertThat(ProcSelf.descriptorsOf("memfd:thimble-negative")).isZero();
    }

    @Test
    void rejects_a_name_of_more_than_249_bytes() {
        MemFd.create("n".repeat(249), 0).close();
        assertThatThrownBy(() -> MemFd.create("n".repeat(250), 0))
                .isInstanceOfSatisfying(
                        LinuxException.class, e -> assertThat(e.errno()).isEqualTo(Errnos.EINVAL));
    }
}
