package io.thimble.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.vmm.agent.CpioWriter;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What e2fsprogs think of the file system, and which archives are refused. */
class RootImageTest {
    @TempDir
    private Path directory;

    private interface Content {
        void addTo(CpioWriter cpio) throws IOException;
    }

    private static byte[] archive(Content content) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CpioWriter cpio = new CpioWriter(bytes);
        content.addTo(cpio);
        cpio.finish();
        return bytes.toByteArray();
    }

    private Path write(RootImage root) throws IOException {
        Path image = directory.resolve("image");
        try (FileChannel out = FileChannel.open(image, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            root.write(out);
        }
        return image;
    }

    private static String run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        assertThat(process.waitFor())
                .as("%s: %s", Arrays.toString(command), said)
                .isZero();
        return said;
    }

    @Test
    void e2fsck_finds_nothing_wrong_and_debugfs_finds_every_file() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/sbin/debugfs")), "e2fsprogs is not installed");
        byte[] large = new byte[5_000_003];
        new SplittableRandom(1).nextBytes(large);
        byte[] first = archive(cpio -> {
            cpio.directory("bin", 0755).directory("many", 0700).directory("many/deep", 01777);
            for (int i = 0; i < 500; i++) {
                cpio.file(
                        "many/a-name-that-is-not-short-" + i, 0600, ("content " + i).getBytes(StandardCharsets.UTF_8));
            }
            cpio.file("bin/large", 04755, large).file("bin/empty", 0644, new byte[0]);
            cpio.symlink("bin/short", "large")
                    .symlink("bin/long", "x/".repeat(100))
                    .symlink("bin/59", "y".repeat(59));
            cpio.symlink("bin/60", "z".repeat(60));
            cpio.file("init", 0644, new byte[] {1});
        });
        byte[] second = archive(cpio -> cpio.directory("bin", 0711).file("init", 0755, new byte[] {2, 3}));
        Path image = write(new RootImage().add("first", first).add("second", second));

        assertThat(Files.size(image)).isEqualTo(128 << 20);
        run("/sbin/e2fsck", "-fn", image.toString());
        Path out = Files.createDirectory(directory.resolve("out"));
        run("/sbin/debugfs", "-R", "dump /bin/large " + out.resolve("large"), image.toString());
        assertThat(out.resolve("large")).hasBinaryContent(large);
        run("/sbin/debugfs", "-R", "dump /init " + out.resolve("init"), image.toString());
        assertThat(out.resolve("init")).hasBinaryContent(new byte[] {2, 3});
        run("/sbin/debugfs", "-R", "dump /many/a-name-that-is-not-short-499 " + out.resolve("499"), image.toString());
        assertThat(out.resolve("499")).hasContent("content 499");
        assertThat(run("/sbin/debugfs", "-R", "ls -l /bin", image.toString()))
                .containsPattern("104755 +\\(1\\) +0 +0 +5000003 .*large")
                .containsPattern("120777 +\\(7\\) +0 +0 +5 .*short")
                .containsPattern("120777 +\\(7\\) +0 +0 +200 .*long");
        assertThat(run("/sbin/debugfs", "-R", "stat /bin/short", image.toString()))
                .contains("Fast link dest: \"large\"");
        assertThat(run("/sbin/debugfs", "-R", "stat /bin", image.toString())).containsPattern("Mode: +0711");
    }

    @Test
    void archives_that_cannot_be_unpacked_are_refused() throws Exception {
        byte[] good = archive(cpio -> cpio.file("file", 0644, new byte[100]));
        assertThatThrownBy(() -> new RootImage().add("a.gz", new byte[] {0x1f, (byte) 0x8b, 8, 0}))
                .isInstanceOf(BootException.class)
                .hasMessageContainingAll("a.gz", "unpack it first");
        for (int length = 1; length < 200; length++) {
            byte[] cut = Arrays.copyOf(good, length);
            assertThatThrownBy(() -> new RootImage().add("cut", cut)).isInstanceOf(BootException.class);
        }
        for (String path : new String[] {"../file", "no/parent", "x".repeat(256)}) {
            byte[] bad = archive(cpio -> cpio.file(path, 0644, new byte[1]));
            assertThatThrownBy(() -> new RootImage().add("bad", bad))
                    .isInstanceOf(BootException.class)
                    .hasMessageContaining(path);
        }
    }

    @Test
    void too_much_is_refused() throws Exception {
        byte[] large = new byte[70 << 20];
        RootImage root = new RootImage()
                .add("one", archive(cpio -> cpio.file("a", 0644, large)))
                .add("two", archive(cpio -> cpio.file("b", 0644, large)));
        assertThatThrownBy(() -> write(root)).isInstanceOf(BootException.class).hasMessageContaining("too small");
    }
}
