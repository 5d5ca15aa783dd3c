package io.thimble.vmm.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FrameDecoderTest {
    private record Frame(int type, String payload) {}

    private final List<Frame> frames = new ArrayList<>();
    private final FrameDecoder decoder = new FrameDecoder((type, buffer, offset, length) ->
            frames.add(new Frame(type, new String(buffer, offset, length, StandardCharsets.ISO_8859_1))));

    private static byte[] frame(int type, String payload) {
        return FrameEncoder.encode(type, payload.getBytes(StandardCharsets.ISO_8859_1));
    }

    private void feed(byte[]... parts) {
        for (byte[] part : parts) {
            decoder.accept(part, 0, part.length);
        }
    }

    @Test
    void crc_is_crc16_ibm_3740() {
        byte[] check = "123456789".getBytes(StandardCharsets.US_ASCII);
        assertThat(ControlProtocol.crc16(check, 0, check.length)).isEqualTo(0x29B1);
    }

    @Test
    void decodes_the_bytes_of_the_specification() {
        // The example of docs/control-channel.md, recorded from the agent.
        byte[] exit42 = {(byte) 0xA5, 3, 5, 0, 0x2A, 0, 0, 0, 0, (byte) 0xF6, (byte) 0xCE};
        feed(exit42);
        assertThat(frames).containsExactly(new Frame(ControlProtocol.FRAME_EXIT, "*\0\0\0\0"));
    }

    @Test
    void decodes_frames_of_every_legal_length() {
        for (int length = 0; length <= ControlProtocol.FRAME_MAX_PAYLOAD; length++) {
            String payload = "\u00A5".repeat(length);
            frames.clear();
            feed(frame(length & 0xFF, payload));
            assertThat(frames).as("length %d", length).containsExactly(new Frame(length & 0xFF, payload));
        }
        assertThat(decoder.skippedBytes()).isZero();
    }

    @Test
    void decodes_single_bytes_as_it_decodes_arrays() {
        for (byte b : frame(1, "hello")) {
            decoder.accept(b);
        }
        assertThat(frames).containsExactly(new Frame(1, "hello"));
    }

    @Test
    void delivers_nothing_of_a_truncated_frame() {
        byte[] whole = frame(1, "hello");
        for (int length = 0; length < whole.length; length++) {
            List<Integer> types = new ArrayList<>();
            new FrameDecoder((type, b, o, l) -> types.add(type)).accept(whole, 0, length);
            assertThat(types).as("first %d bytes", length).isEmpty();
        }
    }

    @Test
    void rejects_every_flipped_bit() {
        byte[] whole = frame(3, "status");
        for (int bit = 0; bit < whole.length * 8; bit++) {
            byte[] broken = whole.clone();
            broken[bit / 8] ^= (byte) (1 << bit % 8);
            List<Integer> types = new ArrayList<>();
            new FrameDecoder((type, b, o, l) -> types.add(type)).accept(broken, 0, broken.length);
            assertThat(types).as("bit %d", bit).isEmpty();
        }
    }

    @Test
    void counts_wrong_crcs_and_skipped_bytes() {
        byte[] broken = frame(3, "status");
        broken[broken.length - 1] ^= 1;
        feed(broken);
        assertThat(decoder.crcErrors()).isEqualTo(1);
        assertThat(decoder.skippedBytes()).isEqualTo(broken.length);
    }

    @Test
    void skips_a_header_that_announces_more_than_the_limit_at_once() {
        byte[] oversize = {(byte) 0xA5, 1, 1, 2}; // 513
        feed(oversize, frame(2, "next"));
        assertThat(frames).containsExactly(new Frame(2, "next"));
        assertThat(decoder.skippedBytes()).isEqualTo(4);
    }

    @Test
    void finds_a_frame_inside_what_looked_like_another() {
        byte[] falseHeader = {(byte) 0xA5, 1, 20, 0};
        feed(falseHeader, frame(2, "inside"), frame(3, "behind"));
        assertThat(frames).containsExactly(new Frame(2, "inside"), new Frame(3, "behind"));
    }

    @Test
    void finds_a_frame_behind_any_garbage_within_one_frame_of_filler() {
        byte[] longestFalseHeader = {(byte) 0xA5, 1, 0, 2};
        feed(longestFalseHeader, frame(2, "late"), new byte[ControlProtocol.FRAME_MAX]);
        assertThat(frames).containsExactly(new Frame(2, "late"));
    }

    @Test
    void rejects_ranges_outside_the_array() {
        assertThatThrownBy(() -> decoder.accept(new byte[4], 2, 3)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 20261123, 0x7117B1E})
    void delivers_all_frames_between_garbage_however_the_stream_is_cut(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        ByteArrayOutputStream stream = new ByteArrayOutputStream();
        List<Frame> sent = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            byte[] garbage = new byte[random.nextInt(20)];
            for (int g = 0; g < garbage.length; g++) {
                garbage[g] = (byte) random.nextInt(ControlProtocol.FRAME_SYNC); // no false frame can start here
            }
            stream.writeBytes(garbage);
            byte[] payload = new byte[random.nextInt(random.nextInt(4) == 0 ? 513 : 24)];
            random.nextBytes(payload);
            int type = random.nextInt(256);
            sent.add(new Frame(type, new String(payload, StandardCharsets.ISO_8859_1)));
            stream.writeBytes(FrameEncoder.encode(type, payload));
        }
        byte[] bytes = stream.toByteArray();
        for (int at = 0; at < bytes.length; ) {
            int chunk = Math.min(bytes.length - at, 1 + random.nextInt(1200));
            decoder.accept(bytes, at, chunk);
            at += chunk;
        }
        assertThat(frames).as("seed %d", seed).isEqualTo(sent);
    }

    @ParameterizedTest
    @ValueSource(longs = {4, 5, 6, 7, 8})
    void recovers_from_arbitrary_bytes(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] noise = new byte[100_000];
        random.nextBytes(noise);
        for (int i = 0; i < noise.length; i++) {
            if (random.nextInt(4) == 0) {
                noise[i] = (byte) ControlProtocol.FRAME_SYNC;
            } else if (random.nextInt(3) == 0) {
                noise[i] = (byte) random.nextInt(3);
            }
        }
        feed(noise, new byte[ControlProtocol.FRAME_MAX]);
        frames.clear();
        feed(frame(9, "after"));
        assertThat(frames).as("seed %d", seed).containsExactly(new Frame(9, "after"));
        assertThat(decoder.skippedBytes()).isGreaterThan(noise.length / 2);
    }

    @Test
    void encoder_rejects_what_no_frame_can_hold() {
        assertThatThrownBy(() -> FrameEncoder.encode(256, new byte[0])).hasMessageContaining("256");
        assertThatThrownBy(() -> FrameEncoder.encode(1, new byte[513])).hasMessageContaining("513");
        assertThat(Arrays.copyOf(FrameEncoder.shutdown(StopAction.REBOOT, 0x01020304L), 9))
                .containsExactly(0xA5, 0x81, 5, 0, 1, 4, 3, 2, 1);
        assertThat(Arrays.copyOf(FrameEncoder.windowSize(24, 0x1FF), 8))
                .containsExactly(0xA5, 0x82, 4, 0, 24, 0, 0xFF, 1);
    }
}
