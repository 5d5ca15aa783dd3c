package io.thimble.vmm.legacy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ConsoleTailTest {
    private final ByteArrayOutputStream next = new ByteArrayOutputStream();
    private final ConsoleTail tail = new ConsoleTail(SerialOutput.direct(next::write), 25);

    private void print(String text) {
        for (byte value : text.getBytes(StandardCharsets.UTF_8)) {
            assertThat(tail.offer(value)).isTrue();
        }
    }

    @Test
    void passes_everything_on_and_remembers_the_last() {
        print("first line\r\nsecond line\r\nthird line\r\n");
        assertThat(next.size()).isEqualTo(37);
        assertThat(tail.bytes()).hasSize(25);
        assertThat(tail.lastLines(2)).containsExactly("second line", "third line");
        assertThat(tail.lastLines(1)).containsExactly("third line");
        assertThat(tail.lastLines(0)).isEmpty();
    }

    @Test
    void an_unfinished_line_counts() {
        print("Kernel panic\nCPU 0");
        assertThat(tail.lastLines(9)).containsExactly("Kernel panic", "CPU 0");
    }

    @Test
    void what_the_guest_prints_cannot_drive_a_terminal() {
        print("\u001b[2Jgot\tyou\u009b\u0000\n");
        assertThat(tail.lastLines(1)).containsExactly("?[2Jgot\tyou??");
    }

    @Test
    void a_refused_character_is_not_remembered_yet() {
        ConsoleTail refusing = new ConsoleTail(value -> false, 8);
        assertThat(refusing.offer((byte) 'x')).isFalse();
        assertThat(refusing.bytes()).isEmpty();
    }
}
