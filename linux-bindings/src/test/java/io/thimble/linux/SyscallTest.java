package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.IoctlsConstants;
import io.thimble.linux.abi.MmanConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.Test;

class SyscallTest {
    private static final long NO_SUCH_CALL = 100_000;

    @Test
    void returns_the_kernels_result() {
        assertThat(Syscall.call(Syscalls.SYS_getpid))
                .isEqualTo(ProcessHandle.current().pid());
    }

    @Test
    void returns_minus_errno_on_failure() {
        assertThat(Syscall.call(Syscalls.SYS_close, -1)).isEqualTo(-Errnos.EBADF);
        assertThat(Syscall.call(NO_SUCH_CALL)).isEqualTo(-Errnos.ENOSYS);
    }

    @Test
    void passes_all_six_arguments() {
        try (Arena arena = Arena.ofConfined();
                Fd file = MemFd.create("six-arguments", 2L * Mman.PAGE_SIZE)) {
            MemorySegment text = arena.allocateFrom("second page");
            assertThat(Syscall.call(
                            Syscalls.SYS_pwrite64, file.number(), text.address(), text.byteSize(), Mman.PAGE_SIZE))
                    .isEqualTo(text.byteSize());

            long address = Syscall.call(
                    Syscalls.SYS_mmap,
                    0,
                    Mman.PAGE_SIZE,
                    MmanConstants.PROT_READ,
                    MmanConstants.MAP_SHARED,
                    file.number(),
                    Mman.PAGE_SIZE);

            assertThat(address).isPositive();
            assertThat(MemorySegment.ofAddress(address)
                            .reinterpret(Mman.PAGE_SIZE)
                            .getString(0))
                    .isEqualTo("second page");
            assertThat(Syscall.call(Syscalls.SYS_munmap, address, Mman.PAGE_SIZE))
                    .isZero();
        }
    }

    @Test
    void passes_and_returns_64_bits() {
        long far = (1L << 40) + 7;
        try (Fd file = MemFd.create("wide", 0)) {
            assertThat(Syscall.call(Syscalls.SYS_lseek, file.number(), far, 0)).isEqualTo(far);
        }
    }

    @Test
    void ioctl_passes_an_address_and_returns_minus_errno() {
        try (Arena arena = Arena.ofConfined();
                Fd file = MemFd.create("ioctl", 12345)) {
            MemorySegment unread = arena.allocate(ValueLayout.JAVA_INT);

            assertThat(Syscall.ioctl(file.number(), IoctlsConstants.FIONREAD, unread.address()))
                    .isZero();
            assertThat(unread.get(ValueLayout.JAVA_INT, 0)).isEqualTo(12345);
            assertThat(Syscall.ioctl(file.number(), IoctlsConstants.TIOCGWINSZ, unread.address()))
                    .isEqualTo(-Errnos.ENOTTY);
        }
    }

    @Test
    void writes_errno_into_the_capture_segment_of_the_caller() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment capture = Syscall.newCapture(arena);

            long result = Syscall.call(capture, Syscalls.SYS_close, -1, 0, 0, 0, 0, 0);

            assertThat(result).isEqualTo(-Errnos.EBADF);
            assertThat(capture.get(ValueLayout.JAVA_INT, 0)).isEqualTo(Errnos.EBADF);
        }
    }

    @Test
    void threads_that_fail_at_the_same_time_see_their_own_errno() throws Exception {
        CyclicBarrier start = new CyclicBarrier(2);
        List<BlockedThread<Integer>> threads = new ArrayList<>();
        for (long[] callAndErrno : new long[][] {{Syscalls.SYS_close, Errnos.EBADF}, {NO_SUCH_CALL, Errnos.ENOSYS}}) {
            threads.add(BlockedThread.start(() -> {
                start.await();
                int right = 0;
                for (int i = 0; i < 20_000; i++) {
                    right += Syscall.call(callAndErrno[0], -1) == -callAndErrno[1] ? 1 : 0;
                }
                return right;
            }));
        }
        for (BlockedThread<Integer> thread : threads) {
            assertThat(thread.result()).isEqualTo(20_000);
        }
    }
}
