package io.thimble.it.virtio;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.ConsoleKind;
import io.thimble.vmm.ConsoleMode;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.SlowReaderPolicy;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** {@code hvc0}: much output and input, its size, its readers, and named ports. */
@RequiresKvm
@Timeout(240)
class VirtioConsoleIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofMinutes(2));
    private static final int MUCH = HostKvm.isEmulated() ? 4 << 20 : 100 << 20;
    private static final int SHA_256_LINE = 64 + "  /tmp/data\n".length();

    /** Finds the device of a named port. */
    private static final String PORT_DEVICE = """
            port() { for p in /sys/class/virtio-ports/*; do
                [ "$(cat $p/name 2>/dev/null)" = "$1" ] && echo /dev/${p##*/}; done; }
            """;

    /** Keeps a checksum of what follows the first {@link #SHA_256_LINE} bytes. */
    private static final class Digest extends OutputStream {
        final MessageDigest digest;
        final StringBuilder line = new StringBuilder();
        long count;

        Digest() throws Exception {
            digest = MessageDigest.getInstance("SHA-256");
        }

        @Override
        public void write(int b) {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) {
            int head = Math.min(length, SHA_256_LINE - line.length());
            line.append(new String(bytes, offset, head, StandardCharsets.ISO_8859_1));
            digest.update(bytes, offset + head, length - head);
            count += length - head;
        }

        String sum() {
            return HexFormat.of().formatHex(digest.digest());
        }
    }

    private static MicroVmBuilder virtioConsole() {
        return MicroVm.builder().consoleKind(ConsoleKind.VIRTIO);
    }

    private static ExitReport end(MicroVm vm) throws InterruptedException {
        return vm.await(LIMIT).orElseThrow(() -> new AssertionError("the guest does not end"));
    }

    @Test
    void a_hundred_mebibytes_of_random_bytes_arrive_unchanged() throws Exception {
        Digest output = new Digest();
        try (MicroVm vm = virtioConsole()
                .memory(512L << 20)
                .console(output)
                .consoleMode(ConsoleMode.STREAM)
                .command(
                        "sh", "-c", "head -c " + MUCH + " /dev/urandom > /tmp/data; sha256sum /tmp/data; cat /tmp/data")
                .start()) {
            assertThat(end(vm).commandStatus()).hasValue(0);
            assertThat(vm.statistics().consoleDropped()).isZero();
        }
        assertThat(output.count).isEqualTo(MUCH);
        assertThat(output.line.toString()).startsWith(output.sum());
    }

    @Test
    void it_is_the_console_and_a_terminal_with_a_name() throws Exception {
        String printed = LinuxVm.output(
                virtioConsole(),
                "tty; cat /sys/class/tty/console/active; cat /proc/cmdline; [ -t 0 ] && echo terminal");
        assertThat(printed)
                .startsWith("/dev/hvc0\nhvc0\n")
                .contains("console=hvc0")
                .endsWith("terminal\n");
        assertThat(printed).doesNotContain("console=ttyS0");
    }

    @Test
    void the_kernels_first_lines_come_once_though_its_driver_is_not_there_yet() throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = virtioConsole()
                .console(console)
                .append("loglevel=7 ignore_loglevel")
                .command("true")
                .start()) {
            assertThat(end(vm).commandStatus()).hasValue(0);
        }
        assertThat(console.text())
                .containsOnlyOnce("Kernel command line:")
                .containsOnlyOnce("Run /init as init process");
    }

    @Test
    void a_panic_is_seen_on_it() throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = virtioConsole()
                .console(console)
                .append("loglevel=7")
                .command("sh", "-c", "echo c > /proc/sysrq-trigger")
                .start()) {
            assertThat(end(vm).reason()).isEqualTo(ExitReason.PANIC);
        }
        assertThat(console.text()).contains("Kernel panic - not syncing");
    }

    @Test
    void input_of_every_value_arrives_as_fast_as_the_guest_reads_and_ends() throws Exception {
        byte[] input = new byte[HostKvm.isEmulated() ? 64 << 10 : 1 << 20];
        new SplittableRandom(7).nextBytes(input);
        Digest output = new Digest();
        try (MicroVm vm = virtioConsole()
                .console(output)
                .consoleInput(new ByteArrayInputStream(input))
                .consoleMode(ConsoleMode.STREAM)
                .command("sh", "-c", "cat > /tmp/data; sha256sum /tmp/data; cat /tmp/data")
                .start()) {
            assertThat(end(vm).commandStatus()).hasValue(0);
        }
        String sum =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(input));
        assertThat(output.line.toString()).startsWith(sum);
        assertThat(output.sum()).isEqualTo(sum);
    }

    @Test
    void a_terminal_on_it_is_typed_at_interrupted_and_resized() throws Exception {
        ConsoleText console = new ConsoleText();
        String script = """
                trap 'echo interrupted; exit 9' INT
                stty size; echo line; read line; echo "[$line]"
                while [ "$(stty size)" != "55 99" ]; do sleep 0.01; done; echo resized; while :; do sleep 1; done
                """;
        try (MicroVm vm = virtioConsole()
                .console(console)
                .windowSize(24, 80)
                .command("sh", "-c", script)
                .start()) {
            assertThat(console.awaitText("24 80\nline\n", LIMIT))
                    .as(console::text)
                    .isTrue();
            type(vm, "two words\n");
            assertThat(console.awaitText("[two words]\n", LIMIT))
                    .as(console::text)
                    .isTrue();
            vm.setWindowSize(55, 99);
            assertThat(console.awaitText("resized\n", LIMIT)).as(console::text).isTrue();
            type(vm, "\003");
            assertThat(end(vm).commandStatus()).hasValue(9);
            assertThat(console.text()).contains("interrupted\n");
        }
    }

    private static void type(MicroVm vm, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        assertThat(vm.type(bytes, 0, bytes.length)).isEqualTo(bytes.length);
    }

    @Test
    void behind_a_reader_that_comes_late_nothing_is_lost_or_what_the_policy_says() throws Exception {
        for (SlowReaderPolicy policy : SlowReaderPolicy.values()) {
            CountDownLatch released = new CountDownLatch(1);
            ConsoleText taken = new ConsoleText();
            OutputStream late = new OutputStream() {
                @Override
                public void write(int b) throws IOException {
                    write(new byte[] {(byte) b}, 0, 1);
                }

                @Override
                public void write(byte[] bytes, int offset, int length) throws IOException {
                    try {
                        released.await();
                    } catch (InterruptedException e) {
                        throw new IOException(e);
                    }
                    taken.write(bytes, offset, length);
                }
            };
            int size = 300_000;
            try (MicroVm vm = virtioConsole()
                    .console(late)
                    .consoleMode(ConsoleMode.STREAM)
                    .consoleBuffer(policy, 50_000)
                    .command("sh", "-c", "head -c " + size + " /dev/zero | tr '\\0' x; echo end")
                    .start()) {
                if (policy == SlowReaderPolicy.HOLD_BACK) {
                    assertThat(vm.await(Duration.ofMillis(100))).isEmpty();
                } else {
                    while (vm.statistics().consoleDropped() < 200_000) {
                        assertThat(vm.await(Duration.ofMillis(5))).isEmpty();
                    }
                }
                released.countDown();
                assertThat(end(vm).reason()).isEqualTo(ExitReason.POWER_OFF);
                long dropped = vm.statistics().consoleDropped();
                assertThat(taken.bytes().length + dropped).as("with " + policy).isEqualTo(size + 4);
                assertThat(dropped == 0).isEqualTo(policy == SlowReaderPolicy.HOLD_BACK);
                if (policy != SlowReaderPolicy.DROP_NEWEST) {
                    assertThat(taken.text()).endsWith("xend\n");
                }
            }
        }
    }

    @Test
    void paused_in_the_middle_of_much_output_nothing_is_lost() throws Exception {
        Digest output = new Digest();
        try (MicroVm vm = virtioConsole()
                .console(output)
                .consoleMode(ConsoleMode.STREAM)
                .command("sh", "-c", "head -c 10000000 /dev/urandom > /tmp/data; sha256sum /tmp/data; cat /tmp/data")
                .start()) {
            assertThat(vm.awaitReady(LIMIT)).isTrue();
            for (int i = 0; i < 20 && vm.await(Duration.ofMillis(3)).isEmpty(); i++) {
                try {
                    vm.pause();
                    vm.resume();
                } catch (IllegalStateException _) {
                    break; // it has ended
                }
            }
            assertThat(end(vm).commandStatus()).hasValue(0);
        }
        assertThat(output.count).isEqualTo(10_000_000);
        assertThat(output.line.toString()).startsWith(output.sum());
    }

    @Test
    void named_ports_carry_streams_both_ways_and_the_last_bytes_before_the_end() throws Exception {
        byte[] request = new byte[3 << 20];
        new SplittableRandom(9).nextBytes(request);
        ConsoleText copied = new ConsoleText();
        ConsoleText answers = new ConsoleText();
        String script = PORT_DEVICE + """
                cat "$(port questions)" > /tmp/q
                sha256sum < /tmp/q
                cat /tmp/q > "$(port answers)"
                head -c 5 "$(port both)" | tr a-z A-Z > "$(port answers)"
                """;
        String printed = LinuxVm.output(
                MicroVm.builder()
                        .inputPort("questions", new ByteArrayInputStream(request))
                        .outputPort("answers", copied)
                        .port("both", new ByteArrayInputStream("hello".getBytes(StandardCharsets.US_ASCII)), answers),
                script);
        String sum =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(request));
        assertThat(printed).startsWith(sum);
        byte[] all = copied.bytes();
        assertThat(all).hasSize(request.length + 5).startsWith(request);
        assertThat(new String(all, request.length, 5, StandardCharsets.US_ASCII))
                .isEqualTo("HELLO");
        assertThat(answers.bytes()).isEmpty();
    }
}
