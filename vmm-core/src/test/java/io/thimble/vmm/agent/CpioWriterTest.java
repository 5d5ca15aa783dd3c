package io.thimble.vmm.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class CpioWriterTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final CpioWriter cpio = new CpioWriter(bytes);

    private String written() {
        return bytes.toString(StandardCharsets.ISO_8859_1);
    }

    @Test
    void writes_the_header_that_newc_prescribes() throws IOException {
        cpio.file("dir/file", 04755, "12345".getBytes(StandardCharsets.US_ASCII));
        String expected =
                "070701" + "00000001" + "000089ED" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005"
                        + "00000000".repeat(4) + "00000009" + "00000000" + "dir/file\0" + "\0" + "12345" + "\0\0\0";
        assertThat(written()).isEqualTo(expected);
    }

    @Test
    void marks_directories_and_links_by_their_mode() throws IOException {
        cpio.directory("tmp", 01777).symlink("bin/sh", "busybox");
        assertThat(written()).contains("000043FF").contains("0000A1FF").contains("busybox");
    }

    @Test
    void ends_on_a_multiple_of_four_bytes_whatever_the_lengths() throws IOException {
        String name = "";
        for (int i = 0; i < 8; i++) {
            name += "n";
            cpio.file(name, 0644, new byte[i]);
            assertThat(bytes.size() % 4).isZero();
        }
        cpio.finish();
        assertThat(bytes.size() % 4).isZero();
        assertThat(written()).contains("TRAILER!!!\0");
    }

    @Test
    void rejects_paths_and_permissions_that_no_entry_can_have() {
        assertThatThrownBy(() -> cpio.directory("", 0755)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> cpio.directory("/etc", 0755)).hasMessageContaining("/etc");
        assertThatThrownBy(() -> cpio.file("a\0b", 0644, new byte[0])).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> cpio.file("a", 0100644, new byte[0])).hasMessageContaining("100644");
    }
}
