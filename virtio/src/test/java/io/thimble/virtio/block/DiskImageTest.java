package io.thimble.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiskImageTest {
    @TempDir
    Path dir;

    private Path path;

    @BeforeEach
    void create() throws IOException {
        path = dir.resolve("image");
        setSize(1 << 20);
    }

    private void setSize(long size) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(size);
        }
    }

    @Test
    void tells_size_and_blocks() {
        try (DiskImage image = DiskImage.open(path, false, false, 0)) {
            assertThat(image.size()).isEqualTo(1 << 20);
            assertThat(image.logicalBlockSize()).isEqualTo(512);
            assertThat(image.physicalBlockSize()).isBetween(512, 65536);
            assertThat(image.memoryAlign()).isEqualTo(1);
            assertThat(image.isBlockDevice()).isFalse();
            assertThat(image).hasToString(path.toString());
        }
    }

    @Test
    void direct_images_know_their_alignment() {
        try (DiskImage image = DiskImage.open(path, true, true, 0)) {
            assertThat(image.isDirect()).isTrue();
            assertThat(image.memoryAlign()).isBetween(1, 4096);
            assertThat(DirectProbe.reads(image.fd(), image.logicalBlockSize())).isTrue();
        }
    }

    @Test
    void blocks_can_be_larger_than_the_hosts() throws IOException {
        try (DiskImage image = DiskImage.open(path, false, false, 4096)) {
            assertThat(image.logicalBlockSize()).isEqualTo(4096);
            assertThat(image.physicalBlockSize()).isGreaterThanOrEqualTo(4096);
        }
        setSize(4096 + 512);
        assertThatThrownBy(() -> DiskImage.open(path, false, false, 4096)).hasMessageContaining("no multiple of 4096");
    }

    @Test
    void a_writer_excludes_all_others_and_readers_share() {
        try (DiskImage _ = DiskImage.open(path, false, false, 0)) {
            assertThatThrownBy(() -> DiskImage.open(path, false, false, 0))
                    .isInstanceOf(DiskImageException.class)
                    .hasMessageContaining("in use by another VM or process");
            assertThatThrownBy(() -> DiskImage.open(path, true, false, 0)).hasMessageContaining("in use");
        }
        try (DiskImage _ = DiskImage.open(path, true, false, 0);
                DiskImage _ = DiskImage.open(path, true, false, 0)) {
            assertThatThrownBy(() -> DiskImage.open(path, false, false, 0))
                    .hasMessageContaining("use the image read-only");
        }
        DiskImage.open(path, false, false, 0).close();
    }

    @Test
    void names_the_remedy() throws IOException {
        assertThatThrownBy(() -> DiskImage.open(dir.resolve("none"), false, false, 0))
                .hasMessage(dir.resolve("none") + ": ENOENT (No such file or directory) - create it, for example:"
                        + " truncate -s 1G " + dir.resolve("none"));
        assertThatThrownBy(() -> DiskImage.open(dir, false, false, 0))
                .hasMessageContaining("name a file or block device");
        assertThatThrownBy(() -> DiskImage.open(dir, true, false, 0)).hasMessageContaining("neither a regular file");
        assertThatThrownBy(() -> DiskImage.open(Path.of("/dev/null"), false, false, 0))
                .hasMessageContaining("neither a regular file");
        setSize(1000);
        assertThatThrownBy(() -> DiskImage.open(path, false, false, 0))
                .hasMessageContaining("no multiple of 512 - make it longer: truncate -s %512 " + path);
        setSize(0);
        assertThatThrownBy(() -> DiskImage.open(path, false, false, 0)).hasMessageContaining("truncate -s 1G");
        Files.delete(path);
        new ProcessBuilder("mkfifo", path.toString())
                .inheritIO()
                .start()
                .onExit()
                .join();
        assertThatThrownBy(() -> DiskImage.open(path, true, false, 0)).hasMessageContaining("neither a regular file");
    }

    @Test
    void grows_but_never_shrinks() {
        try (DiskImage image = DiskImage.open(path, false, false, 0)) {
            image.grow(2 << 20);
            assertThat(image.size()).isEqualTo(2 << 20);
            assertThatThrownBy(() -> image.grow(1 << 20)).hasMessageContaining("name a larger multiple of 512");
            assertThatThrownBy(() -> image.grow((2 << 20) + 1)).hasMessageContaining("name a larger multiple of 512");
            assertThatThrownBy(() -> image.grow(Long.MAX_VALUE & -512)).hasMessageContaining("EFBIG");
        }
        try (DiskImage image = DiskImage.open(path, true, false, 0)) {
            assertThatThrownBy(() -> image.grow(4 << 20)).hasMessageContaining("only writable files");
        }
    }
}
