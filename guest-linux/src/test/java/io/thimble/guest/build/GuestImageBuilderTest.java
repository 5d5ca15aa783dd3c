package io.thimble.guest.build;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GuestImageBuilderTest {
    private static final Path MODULE = Path.of("");

    @TempDir
    Path folder;

    @Test
    void gives_the_same_bytes_each_time() throws Exception {
        GuestImageBuilder.main(new String[] {MODULE.toAbsolutePath().toString(), folder.toString()});
        Path built = Path.of("target/classes/io/thimble/guest");
        for (String name : List.of("initrd.cpio", "guest.properties")) {
            assertThat(folder.resolve(name)).hasSameBinaryContentAs(built.resolve(name));
        }
    }

    @Test
    void lists_the_applets_that_busybox_has() throws Exception {
        Process process = new ProcessBuilder("rootfs/busybox", "--list-full").start();
        List<String> applets = new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII)
                .lines()
                .filter(line -> !List.of("linuxrc", "sbin/init", "bin/busybox").contains(line))
                .sorted()
                .toList();
        assertThat(process.waitFor()).isZero();
        assertThat(Files.readAllLines(MODULE.resolve("rootfs/applets.txt"))).isEqualTo(applets);
    }

    @Test
    void rejects_a_kernel_that_is_not_the_recorded_one() throws Exception {
        try (OutputStream out =
                new GZIPOutputStream(Files.newOutputStream(folder.resolve("vmlinux-1.2.3-x86_64.gz")))) {
            out.write("kernel".getBytes(StandardCharsets.US_ASCII));
        }
        Path record = Files.writeString(folder.resolve("vmlinux-1.2.3-x86_64.sha256"), "0123  vmlinux-1.2.3-x86_64\n");
        assertThatThrownBy(() -> GuestImageBuilder.kernel(folder)).hasMessageContaining(record.toString());
        byte[] digest = MessageDigest.getInstance("SHA-256").digest("kernel".getBytes(StandardCharsets.US_ASCII));
        String sha256 = HexFormat.of().formatHex(digest);
        Files.writeString(record, sha256 + "  vmlinux-1.2.3-x86_64\n");
        assertThat(GuestImageBuilder.kernel(folder))
                .isEqualTo("kernel.resource=vmlinux-1.2.3-x86_64.gz\nkernel.release=1.2.3\nkernel.sha256=" + sha256
                        + "\nkernel.size=6\n");
    }

    @Test
    void rejects_a_folder_without_exactly_one_kernel() {
        assertThatThrownBy(() -> GuestImageBuilder.kernel(folder)).hasMessageContaining("expected one vmlinux");
    }
}
