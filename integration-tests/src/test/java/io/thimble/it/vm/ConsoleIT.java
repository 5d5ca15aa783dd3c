package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestProgram;
import io.thimble.it.support.GuestProgram.Mode;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.SlowReaderPolicy;
import io.thimble.vmm.VmState;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The console: much of it, binary, with slow, stuck and broken readers, and as an input. */
@RequiresKvm
@Timeout(120)
class ConsoleIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));

    /** Every character is an exit: 10 us on kvm-pvm, a tenth of that on hardware, up to 0.5 ms where that is emulated. */
    private static final int MUCH = HostKvm.isEmulated() ? 64 << 10 : HostKvm.isPvm() ? 256 << 10 : 4 << 20;

    private static final int PATTERN = 0x1000;
    private static final int CHUNK = 16;

    @TempDir
    private Path directory;

    /** Takes nothing until it is released. */
    private static final class StuckReader extends OutputStream {
        final ByteArrayOutputStream taken = new ByteArrayOutputStream();
        final CountDownLatch reached = new CountDownLatch(1);
        final CountDownLatch released = new CountDownLatch(1);

        @Override
        public void write(int b) {
            throw new UnsupportedOperationException("one by one");
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            reached.countDown();
            try {
                released.await();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            taken.write(bytes, offset, length);
        }
    }

    private static byte[] pattern() {
        byte[] bytes = new byte[PATTERN];
        new SplittableRandom(42).nextBytes(bytes);
        return bytes;
    }

    /** A program that prints {@code chunks} times 16 bytes of {@link #pattern}, each when the UART has room, and powers off. */
    private GuestKernel printer(int chunks) {
        GuestProgram program = new GuestProgram(Mode.PROTECTED)
                .outb(GuestProgram.COM1 + 2, 1) // FCR: FIFOs on
                .bytes(0xbb, chunks, chunks >> 8, chunks >> 16, chunks >> 24); // MOV EBX, chunks
        int loop = program.here();
        program.bytes(0x66, 0xba, 0xfd, 0x03); // MOV DX, COM1's LSR
        int poll = program.here();
        program.bytes(0xec, 0xa8, 0x20)
                .jumpIfZero(poll) // IN AL, DX; TEST AL, UART_LSR_THRE
                .bytes(0x89, 0xd8, 0xc1, 0xe0, 0x04) // MOV EAX, EBX; SHL EAX, 4
                .bytes(0x25, 0xff, 0x0f, 0, 0) // AND EAX, 0xfff
                .bytes(0x8d, 0xb0, 0, 0x10, 0x10, 0) // LEA ESI, [EAX + 0x101000]
                .bytes(0x66, 0xba, 0xf8, 0x03, 0xb9, CHUNK, 0, 0, 0) // MOV DX, COM1; MOV ECX, 16
                .bytes(0xf3, 0x6e) // REP OUTSB
                .bytes(0x4b) // DEC EBX
                .jumpIfNotZero(loop)
                .outw(0x604, 5 << 10 | 1 << 13)
                .haltForEver();
        while (program.here() < PATTERN) {
            program.bytes(0);
        }
        for (byte b : pattern()) {
            program.bytes(b);
        }
        return program.in(directory);
    }

    private static byte[] printed(int chunks) {
        byte[] all = new byte[chunks * CHUNK];
        byte[] pattern = pattern();
        for (int i = 0; i < chunks; i++) {
            System.arraycopy(pattern, (chunks - i) * CHUNK % PATTERN, all, i * CHUNK, CHUNK);
        }
        return all;
    }

    private static ExitReport end(MicroVm vm) throws InterruptedException {
        return vm.await(LIMIT).orElseThrow(() -> new AssertionError("the guest does not end"));
    }

    @Test
    void much_binary_output_arrives_unchanged() throws Exception {
        int chunks = MUCH / CHUNK;
        ConsoleText console = new ConsoleText();
        try (MicroVm vm =
                MicroVm.builder().kernel(printer(chunks)).console(console).start()) {
            assertThat(end(vm).reason()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(vm.statistics().consoleDropped()).isZero();
        }
        assertThat(Checksums.md5(console.bytes())).isEqualTo(Checksums.md5(printed(chunks)));
    }

    @Test
    void held_back_behind_a_stuck_reader_everything_arrives_once_it_reads() throws Exception {
        int chunks = MUCH / CHUNK;
        StuckReader reader = new StuckReader();
        try (MicroVm vm = MicroVm.builder()
                .kernel(printer(chunks))
                .console(reader)
                .consoleBuffer(SlowReaderPolicy.HOLD_BACK, 10_000)
                .start()) {
            assertThat(reader.reached.await(LIMIT.toSeconds(), TimeUnit.SECONDS))
                    .isTrue();
            assertThat(vm.await(Duration.ofMillis(100))).as("the guest waits").isEmpty();
            reader.released.countDown();
            assertThat(end(vm).reason()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(vm.statistics().consoleDropped()).isZero();
        }
        assertThat(Checksums.md5(reader.taken.toByteArray())).isEqualTo(Checksums.md5(printed(chunks)));
    }

    @ParameterizedTest
    @EnumSource(names = {"DROP_OLDEST", "DROP_NEWEST"})
    void a_dropping_policy_keeps_its_end_of_the_output_and_counts_the_rest(SlowReaderPolicy policy) throws Exception {
        int chunks = Math.min(MUCH, 128 << 10) / CHUNK;
        int capacity = 20_000;
        byte[] all = printed(chunks);
        StuckReader reader = new StuckReader();
        try (MicroVm vm = MicroVm.builder()
                .kernel(printer(chunks))
                .console(reader)
                .consoleBuffer(policy, capacity)
                .start()) {
            // The guest does not wait for the reader: it powers off, and the end of the VM gives the reader its chance.
            while (vm.statistics().consoleDropped() < all.length - capacity - 8192) {
                assertThat(vm.await(Duration.ofMillis(5))).isEmpty();
            }
            reader.released.countDown();
            assertThat(end(vm).reason()).isEqualTo(ExitReason.POWER_OFF);
            byte[] taken = reader.taken.toByteArray();
            assertThat(taken.length + vm.statistics().consoleDropped()).isEqualTo(all.length);
            assertThat(taken).hasSizeGreaterThanOrEqualTo(capacity);
            if (policy == SlowReaderPolicy.DROP_NEWEST) {
                assertThat(taken).startsWith(Arrays.copyOf(all, capacity));
            } else {
                assertThat(taken).endsWith(Arrays.copyOfRange(all, all.length - 1000, all.length));
            }
        }
    }

    @Test
    void a_stream_that_fails_in_whatever_way_does_not_hold_the_guest() throws Exception {
        for (Throwable failure : new Throwable[] {
            new IOException("disk full"), new IllegalStateException("bug"), new AssertionError("worse")
        }) {
            OutputStream broken = new OutputStream() {
                @Override
                public void write(int b) throws IOException {
                    switch (failure) {
                        case IOException e -> throw e;
                        case RuntimeException e -> throw e;
                        case Error e -> throw e;
                        default -> throw new IOException(failure);
                    }
                }
            };
            int chunks = 2048;
            try (MicroVm vm = MicroVm.builder()
                    .kernel(printer(chunks))
                    .console(broken)
                    .consoleBuffer(SlowReaderPolicy.HOLD_BACK, 100)
                    .start()) {
                ExitReport report = end(vm);
                assertThat(report.reason()).as("after " + failure).isEqualTo(ExitReason.POWER_OFF);
                assertThat(vm.statistics().consoleDropped()).isGreaterThan(chunks * CHUNK - 8192);
            }
        }
    }

    @Test
    void a_reader_that_never_reads_delays_the_end_and_does_not_prevent_it() throws Exception {
        StuckReader reader = new StuckReader();
        try (MicroVm vm = MicroVm.builder()
                .kernel(new GuestProgram(Mode.REAL).print("!").spin().in(directory))
                .console(reader)
                .start()) {
            assertThat(reader.reached.await(LIMIT.toSeconds(), TimeUnit.SECONDS))
                    .isTrue();
            vm.kill();
            assertThat(end(vm).reason()).isEqualTo(ExitReason.KILLED);
            assertThat(vm.state()).isEqualTo(VmState.STOPPED);
        } finally {
            reader.released.countDown();
        }
    }

    @Test
    void a_guest_that_floods_its_console_disturbs_no_other_vm() throws Exception {
        GuestProgram flood = new GuestProgram(Mode.LONG).bytes(0x66, 0xba, 0xf8, 0x03); // MOV DX, COM1
        int loop = flood.here();
        flood.bytes(0xee).jump(loop); // OUT DX, AL
        StuckReader reader = new StuckReader();
        try (MicroVm flooding =
                MicroVm.builder().kernel(flood.in(directory)).console(reader).start()) {
            assertThat(LinuxVm.output(MicroVm.builder(), "echo undisturbed")).isEqualTo("undisturbed\n");
            assertThat(flooding.state()).isEqualTo(VmState.RUNNING);
            reader.released.countDown();
            flooding.kill();
        }
    }

    @Test
    void typed_bytes_of_every_value_reach_the_guest_and_interrupt_characters_its_command() throws Exception {
        byte[] every = new byte[256];
        for (int i = 0; i < every.length; i++) {
            every[i] = (byte) i;
        }
        ConsoleText console = new ConsoleText();
        String script = """
                stty raw -echo; echo go; head -c 256 | md5sum; stty sane -echo
                trap 'echo interrupted; exit 9' INT
                echo line; read line; echo "[$line]"; echo again; read x
                """;
        try (MicroVm vm =
                MicroVm.builder().console(console).command("sh", "-c", script).start()) {
            assertThat(console.awaitText("go\n", LIMIT)).isTrue();
            assertThat(vm.type(every, 0, 256)).isEqualTo(256);
            assertThat(console.awaitText(Checksums.md5(every), LIMIT))
                    .as(console::text)
                    .isTrue();
            assertThat(console.awaitText("line\n", LIMIT)).isTrue();
            type(vm, "two words\n");
            assertThat(console.awaitText("[two words]\nagain\n", LIMIT))
                    .as(console::text)
                    .isTrue();
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
    void an_input_stream_is_read_as_fast_as_the_guest_reads() throws Exception {
        byte[] input = new byte[16 << 10];
        new SplittableRandom(7).nextBytes(input);
        ConsoleText console = new ConsoleText();
        CountDownLatch go = new CountDownLatch(1);
        var stream = new ByteArrayInputStream(input) {
            @Override
            public synchronized int read(byte[] into, int offset, int length) {
                try {
                    go.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                return super.read(into, offset, length);
            }
        };
        try (MicroVm vm = MicroVm.builder()
                .console(console)
                .consoleInput(stream)
                .command("sh", "-c", "stty raw -echo; echo go; head -c " + input.length + " | md5sum")
                .start()) {
            assertThat(console.awaitText("go\n", LIMIT)).isTrue();
            go.countDown();
            end(vm);
            assertThat(console.text()).contains(Checksums.md5(input));
        }
    }

    @Test
    void what_is_typed_at_a_guest_that_does_not_read_is_bounded() throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = MicroVm.builder()
                .kernel(new GuestProgram(Mode.REAL).print("!").spin().in(directory))
                .console(console)
                .start()) {
            assertThat(console.awaitText("!", LIMIT)).isTrue();
            byte[] much = new byte[1 << 20];
            assertThat(vm.type(much, 0, much.length)).isBetween(1, 1 << 19);
            assertThat(vm.type(much, 0, much.length)).isZero();
        }
    }
}
