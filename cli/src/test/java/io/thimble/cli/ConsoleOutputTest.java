package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class ConsoleOutputTest {
    @Test
    void passes_bytes_on_and_notes_the_first() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ConsoleOutput console = new ConsoleOutput(out, () -> {});
        assertThat(console.firstByte()).isZero();

        console.write(new byte[] {1, 2, 3}, 1, 2);
        long first = console.firstByte();
        console.write(0xff);

        assertThat(out.toByteArray()).containsExactly(2, 3, 0xff);
        assertThat(first).isNotZero().isEqualTo(console.firstByte());
    }

    @Test
    void tells_when_nobody_reads_any_more() {
        AtomicInteger broken = new AtomicInteger();
        ConsoleOutput console = new ConsoleOutput(
                new OutputStream() {
                    @Override
                    public void write(int value) throws IOException {
                        throw new IOException("broken pipe");
                    }
                },
                broken::incrementAndGet);

        assertThatIOException().isThrownBy(() -> console.write(1)).withMessage("broken pipe");

        assertThat(broken).hasValue(1);
    }
}
