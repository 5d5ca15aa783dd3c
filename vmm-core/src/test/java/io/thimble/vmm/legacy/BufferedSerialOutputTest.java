package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.SerialRegisters.*;
import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.SlowReaderPolicy;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class BufferedSerialOutputTest {
    private static final ThreadFactory THREADS =
            Thread.ofPlatform().daemon().name("test-console-pump").factory();
    private static final Duration LONG = Duration.ofSeconds(30);

    private final SlowStream stream = new SlowStream();

    @AfterEach
    void letTheReaderGo() {
        stream.gate.release(1_000_000);
    }

    private BufferedSerialOutput start(int capacity, SlowReaderPolicy policy) {
        return BufferedSerialOutput.start(stream, capacity, policy, THREADS);
    }

    private static int offer(BufferedSerialOutput output, String text) {
        int accepted = 0;
        for (byte value : text.getBytes(StandardCharsets.US_ASCII)) {
            accepted += output.offer(value) ? 1 : 0;
        }
        return accepted;
    }

    /** Gets the pump stuck in a write of one line, so that all that follows stays in the buffer. */
    private BufferedSerialOutput startStuck(int capacity, SlowReaderPolicy policy) {
        BufferedSerialOutput output = start(capacity, policy);
        offer(output, "\n");
        stream.awaitWrite();
        return output;
    }

    @Test
    void passes_everything_on_in_order_and_flushes() {
        stream.gate.release(1_000_000);
        BufferedSerialOutput output = start(BufferedSerialOutput.DEFAULT_CAPACITY, SlowReaderPolicy.DROP_OLDEST);
        String text = "line of output\n".repeat(1000);
        assertThat(offer(output, text)).isEqualTo(text.length());
        assertThat(output.close(LONG)).isTrue();
        assertThat(stream.text()).isEqualTo(text);
        assertThat(stream.unflushed).isZero();
        assertThat(output.dropped()).isZero();
    }

    @Test
    void a_prompt_without_line_end_arrives_without_close() {
        stream.gate.release(1_000_000);
        Thread[] pump = new Thread[1];
        BufferedSerialOutput output = BufferedSerialOutput.start(
                stream, 64, SlowReaderPolicy.DROP_OLDEST, task -> pump[0] = THREADS.newThread(task));
        long deadline = System.nanoTime() + LONG.toNanos();
        while (pump[0].getState() != Thread.State.WAITING) {
            assertThat(System.nanoTime()).isLessThan(deadline);
            Thread.onSpinWait();
        }
        offer(output, "# ");
        stream.awaitFlush();
        assertThat(stream.text()).startsWith("#");
        assertThat(output.close(LONG)).isTrue();
        assertThat(stream.text()).isEqualTo("# ");
    }

    @Test
    void drop_oldest_keeps_the_newest_and_counts() {
        BufferedSerialOutput output = startStuck(8, SlowReaderPolicy.DROP_OLDEST);
        assertThat(offer(output, "0123456789ab")).isEqualTo(12);
        assertThat(output.dropped()).isEqualTo(4);
        stream.gate.release(100);
        assertThat(output.close(LONG)).isTrue();
        assertThat(stream.text()).isEqualTo("\n456789ab");
    }

    @Test
    void drop_newest_keeps_the_oldest_and_counts() {
        BufferedSerialOutput output = startStuck(8, SlowReaderPolicy.DROP_NEWEST);
        assertThat(offer(output, "0123456789ab")).isEqualTo(12);
        assertThat(output.dropped()).isEqualTo(4);
        stream.gate.release(100);
        assertThat(output.close(LONG)).isTrue();
        assertThat(stream.text()).isEqualTo("\n01234567");
    }

    @Test
    void hold_back_refuses_and_calls_once_when_there_is_room() throws InterruptedException {
        BufferedSerialOutput output = startStuck(8, SlowReaderPolicy.HOLD_BACK);
        Semaphore calls = new Semaphore(0);
        output.onRoom(calls::release);
        assertThat(offer(output, "0123456789ab")).isEqualTo(8);
        assertThat(output.dropped()).isZero();
        assertThat(calls.availablePermits()).isZero();
        stream.gate.release(100);
        assertThat(calls.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
        assertThat(output.close(LONG)).isTrue();
        assertThat(calls.availablePermits()).isZero();
        assertThat(stream.text()).isEqualTo("\n01234567");
    }

    @Test
    void a_guest_that_waits_for_thre_loses_nothing_to_a_slow_reader() throws InterruptedException {
        BufferedSerialOutput output = start(5, SlowReaderPolicy.HOLD_BACK);
        Semaphore interrupts = new Semaphore(0);
        Serial16550 uart = new Serial16550(
                asserted -> {
                    if (asserted) {
                        interrupts.release();
                    }
                },
                output);
        uart.writeByte(FCR, UART_FCR_ENABLE_FIFO);
        uart.writeByte(MCR, UART_MCR_OUT2);
        Thread reader = Thread.ofPlatform().daemon().start(() -> {
            for (int i = 0; i < 10_000; i++) {
                stream.gate.release();
                Thread.onSpinWait();
            }
        });
        StringBuilder expected = new StringBuilder();
        uart.writeByte(IER, UART_IER_THRI);
        for (int burst = 0; burst < 100; burst++) {
            while ((uart.readByte(LSR) & UART_LSR_THRE) == 0) {
                assertThat(interrupts.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
                uart.readByte(IIR);
            }
            for (int i = 0; i < 16; i++) {
                char c = (char) ('a' + (burst + i) % 26);
                expected.append(c);
                uart.writeByte(THR, c);
            }
        }
        while ((uart.readByte(LSR) & UART_LSR_THRE) == 0) {
            assertThat(interrupts.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
            uart.readByte(IIR);
        }
        reader.join();
        stream.gate.release(1_000_000);
        awaitTransmitterEmpty(uart);
        assertThat(output.close(LONG)).isTrue();
        assertThat(stream.text()).isEqualTo(expected.toString());
        assertThat(uart.transmitOverruns()).isZero();
        assertThat(output.dropped()).isZero();
    }

    private static void awaitTransmitterEmpty(Serial16550 uart) {
        long deadline = System.nanoTime() + LONG.toNanos();
        while ((uart.readByte(LSR) & UART_LSR_TEMT) == 0) {
            assertThat(System.nanoTime()).isLessThan(deadline);
            Thread.onSpinWait();
        }
    }

    @Test
    void several_vcpus_lose_no_character_that_the_transmitter_had_room_for() throws InterruptedException {
        stream.gate.release(1_000_000);
        BufferedSerialOutput output = start(16, SlowReaderPolicy.HOLD_BACK);
        Serial16550 uart = new Serial16550(new RecordingLine(), output);
        uart.writeByte(FCR, UART_FCR_ENABLE_FIFO);
        int each = 5_000;
        CountDownLatch go = new CountDownLatch(1);
        Thread[] vcpus = new Thread[3];
        for (int i = 0; i < vcpus.length; i++) {
            int value = 'A' + i;
            vcpus[i] = Thread.ofPlatform().daemon().start(() -> {
                try {
                    go.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                for (int sent = 0; sent < each; sent++) {
                    uart.writeByte(THR, value);
                }
            });
        }
        go.countDown();
        for (Thread vcpu : vcpus) {
            vcpu.join();
        }
        awaitTransmitterEmpty(uart);
        assertThat(output.close(LONG)).isTrue();
        assertThat(stream.text().length() + uart.transmitOverruns()).isEqualTo(3L * each);
    }

    @Test
    void after_a_failure_everything_is_dropped_and_the_guest_does_not_hang() throws InterruptedException {
        stream.failing = true;
        stream.gate.release(1_000_000);
        BufferedSerialOutput output = start(8, SlowReaderPolicy.HOLD_BACK);
        Semaphore calls = new Semaphore(0);
        output.onRoom(calls::release);
        int accepted = offer(output, "\n123456789abcdef");
        if (accepted < 16) {
            assertThat(calls.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
        }
        assertThat(output.close(LONG)).isFalse();
        assertThat(output.failure()).hasMessage("broken pipe");
        assertThat(offer(output, "x".repeat(100))).isEqualTo(100);
        assertThat(output.dropped()).isGreaterThanOrEqualTo(100);
    }

    @Test
    void close_gives_up_a_stuck_reader_at_its_deadline() {
        BufferedSerialOutput output = startStuck(8, SlowReaderPolicy.DROP_OLDEST);
        offer(output, "lost");
        assertThat(output.close(Duration.ofMillis(1))).isFalse();
        assertThat(output.dropped()).isEqualTo(4);
        assertThat(output.offer((byte) 'x')).isTrue();
        assertThat(output.dropped()).isEqualTo(5);
        stream.gate.release(100);
        assertThat(output.close(LONG)).isFalse();
    }

    /** A stream that writes a batch for each permit of its gate, and tells when it is asked to. */
    private static final class SlowStream extends OutputStream {
        final Semaphore gate = new Semaphore(0);
        private final Semaphore writes = new Semaphore(0);
        private final Semaphore flushes = new Semaphore(0);
        private final ByteArrayOutputStream taken = new ByteArrayOutputStream();
        volatile boolean failing;
        volatile int unflushed;

        @Override
        public void write(int value) throws IOException {
            write(new byte[] {(byte) value}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            writes.release();
            try {
                gate.acquire();
            } catch (InterruptedException e) {
                throw new IOException("interrupted", e);
            }
            if (failing) {
                throw new IOException("broken pipe");
            }
            synchronized (taken) {
                taken.writeBytes(Arrays.copyOfRange(bytes, offset, offset + length));
            }
            unflushed = length;
        }

        @Override
        public void flush() {
            unflushed = 0;
            flushes.release();
        }

        void awaitWrite() {
            await(writes);
        }

        void awaitFlush() {
            await(flushes);
        }

        private static void await(Semaphore event) {
            try {
                assertThat(event.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }

        String text() {
            synchronized (taken) {
                return taken.toString(StandardCharsets.US_ASCII);
            }
        }
    }
}
