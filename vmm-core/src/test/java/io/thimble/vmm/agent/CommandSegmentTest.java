package io.thimble.vmm.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CommandSegmentTest {
    /** Reads the archive back the way the kernel does: headers at multiples of 4, up to the trailer. */
    private static Map<String, String> read(byte[] cpio) {
        Map<String, String> files = new LinkedHashMap<>();
        String text = new String(cpio, StandardCharsets.ISO_8859_1);
        int at = 0;
        while (true) {
            assertThat(text.substring(at, at + 6)).isEqualTo("070701");
            int size = Integer.parseInt(text.substring(at + 54, at + 62), 16);
            int nameSize = Integer.parseInt(text.substring(at + 94, at + 102), 16);
            String name = text.substring(at + 110, at + 110 + nameSize - 1);
            int data = at + 110 + nameSize + 3 & ~3;
            if (name.equals("TRAILER!!!")) {
                return files;
            }
            files.put(name, new String(cpio, data, size, StandardCharsets.UTF_8));
            at = data + size + 3 & ~3;
        }
    }

    @Test
    void carries_arguments_unquoted_and_ended_by_nul() {
        byte[] bytes = CommandSegment.of(List.of("sh", "-c", "echo \"a b\" 'c' $d\n", "", "\u00FC"))
                .toBytes();
        assertThat(read(bytes))
                .containsEntry(".thimble/argv", "sh\0-c\0echo \"a b\" 'c' $d\n\0\0\u00FC\0")
                .containsOnlyKeys(".thimble", ".thimble/argv");
        assertThat(bytes.length % 4).isZero();
    }

    @Test
    void carries_everything_that_is_set() {
        byte[] bytes = new CommandSegment(
                        List.of(),
                        Map.of("B", "2=3", "A", ""),
                        "box",
                        "/srv",
                        "/dev/hvc1",
                        true,
                        40,
                        120,
                        "vsock:1024",
                        false)
                .toBytes();
        assertThat(read(bytes))
                .containsEntry(".thimble/env", "A=\0B=2=3\0")
                .containsEntry(".thimble/hostname", "box")
                .containsEntry(".thimble/cwd", "/srv")
                .containsEntry(".thimble/control", "/dev/hvc1")
                .containsEntry(".thimble/winsize", "40 120")
                .containsEntry(".thimble/console", "stream")
                .containsEntry(".thimble/session", "vsock:1024")
                .doesNotContainKey(".thimble/idle")
                .doesNotContainKey(".thimble/argv");
    }

    @Test
    void has_no_limit_of_its_own_on_length() {
        List<String> command = new java.util.ArrayList<>(List.of("echo"));
        for (int i = 0; i < 100; i++) {
            command.add("x".repeat(100_000));
        }
        assertThat(read(CommandSegment.of(command).toBytes()).get(".thimble/argv"))
                .hasSize(5 + 100 * 100_001);
    }

    @Test
    void rejects_what_the_guest_could_not_be_given() {
        assertThatThrownBy(() -> CommandSegment.of(List.of("a\0b"))).hasMessageContaining("NUL");
        assertThatThrownBy(() -> CommandSegment.of(List.of("\uD800"))).hasMessageContaining("Unicode");
        assertThatThrownBy(() -> CommandSegment.of(List.of(""))).hasMessageContaining("empty");
        assertThatThrownBy(() -> environment("A=B", "")).hasMessageContaining("A=B");
        assertThatThrownBy(() -> environment("", "x")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> environment("A", "\0")).hasMessageContaining("environment variable A");
        assertThatThrownBy(() -> hostname("")).hasMessageContaining("host name");
        assertThatThrownBy(() -> hostname("x".repeat(65))).hasMessageContaining("64");
        assertThatThrownBy(
                        () -> new CommandSegment(List.of(), Map.of(), null, null, null, false, 65536, 1, null, false))
                .hasMessageContaining("65536");
    }

    private static CommandSegment environment(String name, String value) {
        return new CommandSegment(List.of(), Map.of(name, value), null, null, null, false, 0, 0, null, false);
    }

    private static CommandSegment hostname(String hostname) {
        return new CommandSegment(List.of(), Map.of(), hostname, null, null, false, 0, 0, null, false);
    }
}
