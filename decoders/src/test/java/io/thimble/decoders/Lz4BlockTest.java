package io.thimble.decoders;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class Lz4BlockTest {
    private static byte[] decode(int room, int... block) throws IOException {
        byte[] in = new byte[block.length];
        for (int i = 0; i < in.length; i++) {
            in[i] = (byte) block[i];
        }
        byte[] out = new byte[room];
        return Arrays.copyOf(out, Lz4Block.decode(in, in.length, out, 0, 0, room));
    }

    private static void refused(String message, int room, int... block) {
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> decode(room, block))
                .withMessageContaining(message);
    }

    @Test
    void copies_literals() throws IOException {
        assertThat(decode(3, 0x30, 'a', 'b', 'c')).isEqualTo("abc".getBytes(StandardCharsets.US_ASCII));
    }

    @Test
    void repeats_a_pattern_that_is_shorter_than_the_copy() throws IOException {
        assertThat(decode(12, 0x25, 'a', 'b', 2, 0, 0x10, 'c'))
                .isEqualTo("abababababac".getBytes(StandardCharsets.US_ASCII));
    }

    @Test
    void reads_lengths_beyond_four_bits() throws IOException {
        assertThat(decode(1000, 0x1f, 'x', 1, 0, 255, 3, 0x10, 'y')).hasSize(1 + 15 + 255 + 3 + 4 + 1);
    }

    @Test
    void refuses_a_copy_from_before_the_beginning() {
        refused("before the beginning", 20, 0x10, 'a', 2, 0, 0x10, 'b');
        refused("before the beginning", 20, 0x10, 'a', 0, 0, 0x10, 'b');
    }

    @Test
    void refuses_what_reaches_beyond_the_block_or_the_output() {
        refused("inside literals", 20, 0x30, 'a');
        refused("inside a sequence", 2000, 0xf0, 255);
        refused("inside a sequence", 20, 0x10, 'a', 1);
        refused("inside a sequence", 20);
        refused("more than its frame allows", 2, 0x30, 'a', 'b', 'c');
        refused("more than its frame allows", 4, 0x10, 'a', 1, 0, 0x10, 'b');
        refused("more than its frame allows", 20, 0xf0, 255, 255, 255);
    }

    @Test
    void any_bytes_give_a_result_or_a_refusal() {
        long seed = System.nanoTime();
        System.out.println("seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        byte[] out = new byte[4096];
        int unpacked = 0;
        for (int i = 0; i < 200_000; i++) {
            byte[] block = new byte[1 + random.nextInt(24)];
            random.nextBytes(block);
            int start = random.nextInt(64);
            try {
                int end = Lz4Block.decode(block, block.length, out, 0, start, out.length - random.nextInt(4000));
                assertThat(end).isBetween(start, out.length);
                unpacked++;
            } catch (IOException _) {
                // a refusal
            }
        }
        assertThat(unpacked).isPositive();
    }

    @Test
    void xxh32_is_that_of_the_specification() {
        assertThat(XxHash32.of(new byte[0], 0, 0)).isEqualTo(0x02CC5D05);
        byte[] text = "Nobody inspects the spammish repetition".getBytes(StandardCharsets.US_ASCII);
        assertThat(XxHash32.of(text, 0, text.length)).isEqualTo(0xE2293B2F);
        XxHash32 inParts = new XxHash32();
        inParts.update(text, 0, 5);
        inParts.update(text, 5, 20);
        inParts.update(text, 25, text.length - 25);
        assertThat(inParts.digest()).isEqualTo(0xE2293B2F);
    }
}
