package io.thimble.vmm.agent;

import static io.thimble.vmm.agent.ControlProtocol.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ControlChannelTest {
    private final List<String> told = new ArrayList<>();
    private final List<byte[]> sent = new ArrayList<>();
    private final ControlChannel channel = new ControlChannel(
            new AgentListener() {
                @Override
                public void hello(int version, boolean init, long uptimeMicros, String kernelRelease) {
                    told.add("hello " + version + " " + init + " " + uptimeMicros + " " + kernelRelease);
                }

                @Override
                public void ready(long uptimeMicros) {
                    told.add("ready " + uptimeMicros);
                }

                @Override
                public void exit(int status, boolean stopped) {
                    told.add("exit " + status + " " + stopped);
                }

                @Override
                public void stopping(StopAction action, StopCause cause) {
                    told.add("stopping " + action + " " + cause);
                }

                @Override
                public void log(String line) {
                    told.add("log " + line);
                }
            },
            sent::add);

    private void guest(int type, int... payload) {
        byte[] bytes = new byte[payload.length];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) payload[i];
        }
        byte[] frame = FrameEncoder.encode(type, bytes);
        channel.accept(frame, 0, frame.length);
    }

    private void guestLog(byte[] text) {
        byte[] frame = FrameEncoder.encode(FRAME_LOG, text);
        channel.accept(frame, 0, frame.length);
    }

    private void hello() {
        guest(FRAME_HELLO, 1, 0, 1, 0, 0x40, 0x42, 0x0F, 0, '6', '.', '1');
    }

    @Test
    void tells_the_listener_what_the_agent_reports() {
        hello();
        guest(FRAME_READY, 1, 0, 0, 0x80);
        guest(FRAME_EXIT, 42, 0, 0, 0, 0);
        guest(FRAME_STOPPING, 0, 0);
        assertThat(told)
                .containsExactly(
                        "hello 1 true 1000000 6.1",
                        "ready 2147483649",
                        "exit 42 false",
                        "stopping POWER_OFF COMMAND_ENDED");
        assertThat(channel.ignoredFrames()).isZero();
    }

    @Test
    void ignores_and_counts_reports_that_come_twice() {
        for (int i = 0; i < 2; i++) {
            hello();
            guest(FRAME_READY, 0, 0, 0, 0);
            guest(FRAME_EXIT, i, 0, 0, 0, 1);
            guest(FRAME_STOPPING, 1, 3);
        }
        assertThat(told).hasSize(4).contains("exit 0 true", "stopping REBOOT CTRL_ALT_DEL");
        assertThat(channel.ignoredFrames()).isEqualTo(4);
    }

    @Test
    void ignores_reports_before_hello() {
        guest(FRAME_READY, 0, 0, 0, 0);
        guest(FRAME_EXIT, 0, 0, 0, 0, 0);
        guest(FRAME_STOPPING, 0, 0);
        assertThat(told).isEmpty();
        assertThat(channel.ignoredFrames()).isEqualTo(3);
    }

    @Test
    void ignores_ready_after_exit() {
        hello();
        guest(FRAME_EXIT, 127, 0, 0, 0, 0);
        guest(FRAME_READY, 0, 0, 0, 0);
        assertThat(told).last().isEqualTo("exit 127 false");
    }

    @Test
    void ignores_short_frames_unknown_types_and_values_out_of_range() {
        guest(FRAME_HELLO, 1, 0, 1, 0, 0, 0, 0);
        guest(FRAME_HELLO, 0, 0, 1, 0, 0, 0, 0, 0);
        hello();
        guest(FRAME_READY, 0, 0, 0);
        guest(FRAME_EXIT, 0, 0, 0, 0);
        guest(FRAME_EXIT, 0, 1, 0, 0, 0);
        guest(FRAME_STOPPING, 2, 0);
        guest(FRAME_STOPPING, 0, 5);
        guest(FRAME_STOPPING, 0);
        guest(0x7F, 1, 2, 3);
        guest(FRAME_SHUTDOWN, 0, 0, 0, 0, 0);
        assertThat(told).containsExactly("hello 1 true 1000000 6.1");
        assertThat(channel.ignoredFrames()).isEqualTo(10);
    }

    @Test
    void takes_longer_frames_of_a_later_version() {
        guest(FRAME_HELLO, 9, 1, 0xFE, 0, 0, 0, 0, 0);
        guest(FRAME_EXIT, 1, 0, 0, 0, 0, 99, 99);
        assertThat(told).containsExactly("hello 265 false 0 ", "exit 1 false");
    }

    @Test
    void makes_guest_text_harmless() {
        guestLog("a\u001B[2Jb\nc\u202Ed \u00E4".getBytes(StandardCharsets.UTF_8));
        guestLog(new byte[] {'x', (byte) 0xFF, 'y'});
        assertThat(told).containsExactly("log a?[2Jb?c?d \u00E4", "log x\uFFFDy");
    }

    @Test
    void cuts_the_kernel_release() {
        byte[] payload = new byte[8 + 200];
        java.util.Arrays.fill(payload, (byte) 'r');
        byte[] frame = FrameEncoder.encode(FRAME_HELLO, payload);
        channel.accept(frame, 0, frame.length);
        assertThat(told.getFirst()).endsWith(" " + "r".repeat(64));
    }

    @Test
    void stops_a_flood_of_log_lines() {
        for (int i = 0; i < ControlChannel.MAX_LOG_LINES + 10; i++) {
            guestLog(new byte[] {'.'});
        }
        assertThat(told).hasSize(ControlChannel.MAX_LOG_LINES);
        assertThat(channel.ignoredFrames()).isEqualTo(10);
    }

    @Test
    void holds_requests_back_until_hello_and_keeps_the_newest_of_each() {
        channel.setWindowSize(24, 80);
        channel.setWindowSize(50, 132);
        channel.requestShutdown(StopAction.POWER_OFF, Duration.ofSeconds(5));
        assertThat(sent).isEmpty();
        assertThat(channel.isOpen()).isFalse();
        hello();
        assertThat(channel.isOpen()).isTrue();
        assertThat(sent)
                .containsExactly(FrameEncoder.windowSize(50, 132), FrameEncoder.shutdown(StopAction.POWER_OFF, 5000));
    }

    @Test
    void sends_requests_at_once_after_hello() {
        hello();
        channel.requestShutdown(StopAction.REBOOT, Duration.ZERO);
        channel.requestShutdown(StopAction.POWER_OFF, Duration.ofSeconds(Long.MAX_VALUE));
        channel.setWindowSize(0, 65535);
        assertThat(sent)
                .containsExactly(
                        FrameEncoder.shutdown(StopAction.REBOOT, 0),
                        FrameEncoder.shutdown(StopAction.POWER_OFF, 0xFFFF_FFFFL),
                        FrameEncoder.windowSize(0, 65535));
    }

    @Test
    void rejects_requests_out_of_range() {
        assertThatThrownBy(() -> channel.setWindowSize(-1, 80)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> channel.setWindowSize(24, 65536)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> channel.requestShutdown(StopAction.POWER_OFF, Duration.ofNanos(-1)))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @ValueSource(longs = {11, 12, 13, 14})
    void survives_valid_frames_with_arbitrary_content(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < 20_000; i++) {
            byte[] payload = new byte[random.nextInt(12)];
            random.nextBytes(payload);
            byte[] frame = FrameEncoder.encode(random.nextInt(8), payload);
            channel.accept(frame, 0, frame.length);
        }
        long once = told.stream().filter(line -> !line.startsWith("log ")).count();
        assertThat(once).as("seed %d", seed).isBetween(1L, 4L);
        assertThat(told).as("seed %d", seed).hasSizeLessThanOrEqualTo(4 + ControlChannel.MAX_LOG_LINES);
    }
}
