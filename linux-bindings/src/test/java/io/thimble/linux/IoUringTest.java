package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.linux.abi.FallocConstants;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.IoUringConstants;
import io.thimble.linux.abi.IovecLayout;
import io.thimble.linux.abi.PollConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class IoUringTest {
    private static final Duration DEADLINE = Duration.ofSeconds(20);
    private static final int BLOCK = 4096;

    @TempDir
    Path dir;

    private final Arena arena = Arena.ofShared();
    private final Map<Long, Integer> results = new HashMap<>();
    private final IoUring ring = new IoUring("test", 8);

    @BeforeEach
    void nothingYet() {
        assertThat(ring.complete(results::put)).isZero();
    }

    @AfterEach
    void close() {
        assertThat(ring.cancelAll(DEADLINE, results::put)).isTrue();
        ring.close();
        arena.close();
    }

    private Fd file(int flags) {
        return Fd.open(dir.resolve("file").toString(), flags | FcntlConstants.O_CREAT | FcntlConstants.O_RDWR);
    }

    private int resultOf(long userData) {
        assertThat(ring.submit()).isZero();
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (true) {
            ring.complete(results::put);
            Integer result = results.remove(userData);
            if (result != null) {
                return result;
            }
            assertThat(System.nanoTime()).as("deadline").isLessThan(end);
            ring.await(Duration.ofSeconds(1));
        }
    }

    @Test
    void a_thread_that_looks_by_itself_is_not_signalled() {
        assertThat(ring.setSignalling(false)).isFalse();
        assertThat(ring.hasCompletions()).isFalse();
        assertThat(ring.nop(7)).isTrue();
        assertThat(ring.submit()).isZero();
        assertThat(ring.hasCompletions()).isTrue();
        assertThat(ring.await(Duration.ZERO)).isFalse();
        assertThat(ring.setSignalling(true)).isTrue();
        assertThat(ring.complete(results::put)).isEqualTo(1);
        assertThat(ring.hasCompletions()).isFalse();
        assertThat(ring.nop(8)).isTrue();
        assertThat(ring.submit()).isZero();
        assertThat(ring.await(DEADLINE)).isTrue();
        assertThat(ring.complete(results::put)).isEqualTo(1);
    }

    @Test
    void shows_a_completion_that_comes_later_without_a_system_call() {
        assertThat(ring.setSignalling(false)).isFalse();
        try (EventFd event = new EventFd("test")) {
            assertThat(ring.pollAdd(event.fd(), PollConstants.POLLIN, 9)).isTrue();
            assertThat(ring.submit()).isZero();
            assertThat(ring.hasCompletions()).isFalse();
            event.signal();
            long end = System.nanoTime() + DEADLINE.toNanos();
            while (!ring.hasCompletions()) {
                assertThat(System.nanoTime()).as("deadline").isLessThan(end);
                Thread.onSpinWait();
            }
            assertThat(ring.complete(results::put)).isEqualTo(1);
            assertThat(results).containsEntry(9L, PollConstants.POLLIN);
        }
    }

    @Test
    void tells_what_the_kernel_can_do() {
        assertThat(ring.supports(IoUringConstants.IORING_OP_NOP)).isTrue();
        assertThat(ring.supports(IoUringConstants.IORING_OP_READV)).isTrue();
        assertThat(ring.supports(255)).isFalse();
        assertThat(ring.features() & IoUringConstants.IORING_FEAT_NODROP).isNotZero();
    }

    @Test
    void writes_reads_and_syncs_a_file() {
        byte[] data = new byte[BLOCK];
        new Random(1).nextBytes(data);
        MemorySegment out = arena.allocateFrom(ValueLayout.JAVA_BYTE, data);
        MemorySegment in = arena.allocate(BLOCK);
        try (Fd fd = file(0)) {
            assertThat(ring.write(fd.number(), out.address(), BLOCK, 8192, 0, 1))
                    .isTrue();
            assertThat(resultOf(1)).isEqualTo(BLOCK);
            assertThat(ring.fsync(fd.number(), true, 2)).isTrue();
            assertThat(resultOf(2)).isZero();
            assertThat(ring.read(fd.number(), in.address(), BLOCK, 8192, 3)).isTrue();
            assertThat(resultOf(3)).isEqualTo(BLOCK);

            assertThat(in.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(data);
            assertThat(FileStatus.of(fd).size()).isEqualTo(8192 + BLOCK);
        }
    }

    @Test
    void moves_data_through_iovecs_and_registered_files() {
        MemorySegment data = arena.allocateFrom("0123456789");
        MemorySegment iovecs = arena.allocate(2 * IovecLayout.SIZEOF, Long.BYTES);
        iovecs.setAtIndex(ValueLayout.JAVA_LONG, 0, data.address() + 5);
        iovecs.setAtIndex(ValueLayout.JAVA_LONG, 1, 5);
        iovecs.setAtIndex(ValueLayout.JAVA_LONG, 2, data.address());
        iovecs.setAtIndex(ValueLayout.JAVA_LONG, 3, 5);
        try (Fd other = file(0);
                Fd fd = file(0)) {
            ring.registerFiles(other, fd);
            assertThat(ring.writev(1, iovecs.address(), 2, 0, 0, 1)).isTrue();
            assertThat(resultOf(1)).isEqualTo(10);
            data.fill((byte) 0);
            assertThat(ring.readv(0, iovecs.address(), 2, 0, 2)).isTrue();
            assertThat(resultOf(2)).isEqualTo(10);

            assertThat(data.getString(0)).isEqualTo("0123456789");
            assertThatIllegalStateException().isThrownBy(() -> ring.registerFiles(fd));
        }
    }

    @Test
    void gives_the_errors_of_the_kernel() {
        try (Fd fd = Fd.open("/dev/null", FcntlConstants.O_RDONLY)) {
            MemorySegment data = arena.allocate(BLOCK);
            assertThat(ring.write(fd.number(), data.address(), BLOCK, 0, 0, 7)).isTrue();
            assertThat(resultOf(7)).isEqualTo(-Errnos.EBADF);
        }
    }

    @Test
    void punches_a_hole() throws Exception {
        Files.write(dir.resolve("file"), new byte[16 * BLOCK]);
        try (Fd fd = file(0)) {
            long before = FileStatus.of(fd).allocated();
            int mode = FallocConstants.FALLOC_FL_PUNCH_HOLE | FallocConstants.FALLOC_FL_KEEP_SIZE;
            assertThat(ring.fallocate(fd.number(), mode, BLOCK, 8 * BLOCK, 1)).isTrue();
            assertThat(resultOf(1)).isZero();

            assertThat(FileStatus.of(fd).allocated()).isEqualTo(before - 8 * BLOCK);
            assertThat(FileStatus.of(fd).size()).isEqualTo(16 * BLOCK);
        }
    }

    @Test
    void refuses_more_than_the_rings_hold_and_goes_on_after_completions() {
        int queued = 0;
        while (ring.nop(queued)) {
            queued++;
        }
        assertThat(queued).isEqualTo(8);
        int seen = 0;
        for (int round = 0; round < 1000; round++) {
            assertThat(ring.submit()).isZero();
            assertThat(ring.unsubmitted()).isZero();
            seen += ring.complete((userData, result) -> assertThat(result).isZero());
            assertThat(ring.nop(round)).isTrue();
            queued++;
        }
        assertThat(ring.submit()).isZero();
        assertThat(seen + ring.complete(results::put)).isEqualTo(queued);
        assertThat(ring.inFlight()).isZero();
    }

    @Test
    void never_has_more_under_way_than_the_completion_ring_holds() {
        try (EventFd never = new EventFd("never")) {
            int queued = 0;
            while (ring.pollAdd(never.fd(), PollConstants.POLLIN, queued)) {
                queued++;
                if (ring.unsubmitted() == 8) {
                    assertThat(ring.submit()).isZero();
                }
            }
            assertThat(queued).isEqualTo(ring.capacity());
            assertThat(ring.submit()).isZero();
            assertThat(ring.inFlight()).isEqualTo(ring.capacity());

            assertThat(ring.cancelAll(DEADLINE, results::put)).isTrue();
            assertThat(results)
                    .hasSize(queued)
                    .allSatisfy((_, result) -> assertThat(result).isEqualTo(-Errnos.ECANCELED));
        }
    }

    @Test
    void cancels_one_request() {
        try (EventFd never = new EventFd("never")) {
            assertThat(ring.pollAdd(never.fd(), PollConstants.POLLIN, 1)).isTrue();
            assertThat(ring.submit()).isZero();
            assertThat(ring.complete(results::put)).isZero();
            assertThat(ring.cancel(1, 2)).isTrue();
            assertThat(resultOf(2)).isZero();
            assertThat(resultOf(1)).isEqualTo(-Errnos.ECANCELED);
        }
    }

    @Test
    void tells_that_a_request_has_not_ended_at_the_deadline() throws Exception {
        assertThat(ring.await(Duration.ZERO)).isFalse();
        try (EventFd soon = new EventFd("soon")) {
            assertThat(ring.pollAdd(soon.fd(), PollConstants.POLLIN, 1)).isTrue();
            assertThat(ring.submit()).isZero();
            assertThat(ring.await(Duration.ofMillis(1))).isFalse();
            soon.signal();
            assertThat(resultOf(1)).isEqualTo(PollConstants.POLLIN);
        }
    }

    @Test
    void takes_back_what_was_not_submitted() {
        assertThat(ring.nop(1)).isTrue();
        assertThat(ring.nop(2)).isTrue();
        ring.withdraw();
        assertThat(resultOf(1)).isZero();
        assertThat(ring.unsubmitted()).isZero();
        assertThat(results).isEmpty();
        assertThatIllegalStateException().isThrownBy(ring::withdraw);
    }

    @Test
    void each_completion_is_an_edge_for_epoll() {
        try (Epoll epoll = new Epoll("test", 4);
                Fd fd = file(FcntlConstants.O_DIRECT)) {
            epoll.add(ring.eventFd().fd(), EventpollConstants.EPOLLIN | (int) EventpollConstants.EPOLLET, 1);
            MemorySegment data = arena.allocate(BLOCK, BLOCK);
            assertThat(FileIo.ftruncate(fd, BLOCK)).isZero();
            assertThat(ring.write(fd.number(), data.address(), BLOCK, 0, 0, 1)).isTrue();
            assertThat(resultOf(1)).isEqualTo(BLOCK);
            for (int i = 0; i < 50; i++) {
                assertThat(ring.read(fd.number(), data.address(), BLOCK, 0, 2)).isTrue();
                assertThat(ring.submit()).isZero();
                while (ring.complete(results::put) == 0) {
                    assertThat(epoll.await(DEADLINE)).isEqualTo(1);
                }
                assertThat(results).containsEntry(2L, BLOCK);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {Errnos.EPERM, Errnos.ENOSYS})
    void names_the_remedy_where_io_uring_is_forbidden(int errno) throws Exception {
        long open = ProcSelf.descriptorsOf("io_uring");
        SeccompThread.call(Syscalls.SYS_io_uring_setup, errno, () -> {
            assertThatThrownBy(() -> new IoUring("forbidden", 8))
                    .isInstanceOfSatisfying(
                            LinuxException.class, e -> assertThat(e.errno()).isEqualTo(errno))
                    .hasMessageContaining("kernel.io_uring_disabled");
            return null;
        });
        assertThat(ProcSelf.descriptorsOf("io_uring")).isEqualTo(open);
    }

    @Test
    void leaves_no_descriptor_and_no_mapping() throws Exception {
        long descriptors = ProcSelf.descriptorsOf("io_uring");
        long mappings = ProcSelf.mappingsOf("io_uring");
        IoUring other = new IoUring("closed", 8);
        assertThat(ProcSelf.descriptorsOf("io_uring")).isEqualTo(descriptors + 1);
        other.close();
        other.close();
        assertThat(ProcSelf.descriptorsOf("io_uring")).isEqualTo(descriptors);
        assertThat(ProcSelf.mappingsOf("io_uring")).isEqualTo(mappings);
    }
}
