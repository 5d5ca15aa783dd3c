package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FallocConstants;
import io.thimble.linux.abi.FcntlConstants;
import io.thimble.linux.abi.FsConstants;
import io.thimble.linux.abi.IovecLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileIoTest {
    @TempDir
    Path dir;

    private Path path;

    @BeforeEach
    void create() throws Exception {
        path = Files.createFile(dir.resolve("file"));
    }

    private Fd open(int flags) {
        return Fd.open(path.toString(), flags);
    }

    @Test
    void reads_and_writes_iovecs_at_an_offset() throws Exception {
        try (Fd fd = open(FcntlConstants.O_RDWR);
                Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocateFrom("hello");
            MemorySegment iovecs = arena.allocate(2 * IovecLayout.SIZEOF, Long.BYTES);
            iovecs.setAtIndex(ValueLayout.JAVA_LONG, 0, data.address());
            iovecs.setAtIndex(ValueLayout.JAVA_LONG, 1, 2);
            iovecs.setAtIndex(ValueLayout.JAVA_LONG, 2, data.address() + 2);
            iovecs.setAtIndex(ValueLayout.JAVA_LONG, 3, 3);
            assertThat(FileIo.pwritev(fd, iovecs.address(), 2, 3, 0)).isEqualTo(5);
            assertThat(FileIo.pwritev(fd, iovecs.address(), 1, 8, FsConstants.RWF_DSYNC))
                    .isEqualTo(2);
            assertThat(Files.readString(path)).isEqualTo("\0\0\0hellohe");

            assertThat(FileIo.preadv(fd, iovecs.address(), 2, 8)).isEqualTo(2);
            assertThat(FileIo.preadv(fd, iovecs.address(), 2, 10)).isZero();
            assertThat(FileIo.fsync(fd)).isZero();
            assertThat(FileIo.fdatasync(fd)).isZero();
        }
    }

    @Test
    void gives_errors_as_negative_numbers() {
        try (Fd fd = open(FcntlConstants.O_RDONLY)) {
            assertThat(FileIo.ftruncate(fd, 10)).isEqualTo(-Errnos.EINVAL);
            assertThat(FileIo.fallocate(fd, 0, 0, 10)).isEqualTo(-Errnos.EBADF);
        }
    }

    @Test
    void allocates_and_frees_ranges() {
        try (Fd fd = open(FcntlConstants.O_RDWR)) {
            assertThat(FileIo.ftruncate(fd, 1 << 20)).isZero();
            FileStatus sparse = FileStatus.of(fd);
            assertThat(sparse.size()).isEqualTo(1 << 20);
            assertThat(sparse.allocated()).isZero();
            assertThat(sparse.isRegularFile()).isTrue();
            assertThat(sparse.isBlockDevice()).isFalse();
            assertThat(sparse.links()).isEqualTo(1);

            assertThat(FileIo.fallocate(fd, 0, 0, 65536)).isZero();
            assertThat(FileStatus.of(fd).allocated()).isEqualTo(65536);
            int punch = FallocConstants.FALLOC_FL_PUNCH_HOLE | FallocConstants.FALLOC_FL_KEEP_SIZE;
            assertThat(FileIo.fallocate(fd, punch, 0, 65536)).isZero();
            assertThat(FileStatus.of(fd).allocated()).isZero();
        }
    }

    @Test
    void an_exclusive_lock_excludes_other_opens_in_the_same_process() {
        try (Fd first = open(FcntlConstants.O_RDWR);
                Fd second = open(FcntlConstants.O_RDWR)) {
            assertThat(FileIo.tryLock(first, true)).isTrue();
            assertThat(FileIo.tryLock(first, true)).isTrue();
            assertThat(FileIo.tryLock(second, true)).isFalse();
            assertThat(FileIo.tryLock(second, false)).isFalse();
            FileIo.unlock(first);
            assertThat(FileIo.tryLock(second, true)).isTrue();
        }
    }

    @Test
    void shared_locks_go_together_and_end_with_the_descriptor() {
        Fd first = open(FcntlConstants.O_RDONLY);
        try (Fd second = open(FcntlConstants.O_RDWR)) {
            assertThat(FileIo.tryLock(first, false)).isTrue();
            assertThat(FileIo.tryLock(second, false)).isTrue();
            assertThat(FileIo.tryLock(second, true)).isFalse();
            first.close();
            assertThat(FileIo.tryLock(second, true)).isTrue();
        }
    }

    @Test
    void an_exclusive_lock_needs_a_descriptor_for_writing() {
        try (Fd fd = open(FcntlConstants.O_RDONLY)) {
            assertThatThrownBy(() -> FileIo.tryLock(fd, true))
                    .isInstanceOfSatisfying(
                            LinuxException.class, e -> assertThat(e.errno()).isEqualTo(Errnos.EBADF));
        }
    }

    @Test
    void a_file_is_no_block_device() {
        try (Fd fd = open(FcntlConstants.O_RDONLY)) {
            assertThatThrownBy(() -> BlockDeviceIoctls.size(fd)).hasMessageContaining("BLKGETSIZE64");
        }
    }
}
