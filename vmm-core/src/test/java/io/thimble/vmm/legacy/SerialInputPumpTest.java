package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.SerialRegisters.*;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SerialInputPumpTest {
    private static final ThreadFactory THREADS =
            Thread.ofPlatform().daemon().name("test-console-input").factory();
    private static final Duration LONG = Duration.ofSeconds(30);

    private final Semaphore interrupts = new Semaphore(0);
    private final Serial16550 uart = new Serial16550(
            asserted -> {
                if (asserted) {
                    interrupts.release();
                }
            },
            SerialOutput.direct(value -> {}),
            100);

    private void listen() {
        uart.writeByte(FCR, UART_FCR_ENABLE_FIFO);
        uart.writeByte(MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
        uart.writeByte(IER, UART_IER_RDI);
    }

    @Test
    void a_guest_gets_all_of_a_stream_larger_than_every_buffer() throws InterruptedException {
        byte[] input = new byte[20_000];
        new SplittableRandom(1).nextBytes(input);
        listen();
        SerialInputPump pump = SerialInputPump.start(new ByteArrayInputStream(input), uart, THREADS);
        ByteArrayOutputStream received = new ByteArrayOutputStream();
        while (received.size() < input.length) {
            assertThat(interrupts.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
            while ((uart.readByte(LSR) & UART_LSR_DR) != 0) {
                received.write(uart.readByte(RBR));
            }
        }
        assertThat(received.toByteArray()).isEqualTo(input);
        assertThat(pump.thread().join(LONG)).as("ends with the stream").isTrue();
        assertThat(pump.failure()).isNull();
    }

    @Test
    void stop_frees_a_pump_that_waits_for_the_guest() throws InterruptedException {
        Semaphore reads = new Semaphore(0);
        InputStream endless = new InputStream() {
            @Override
            public int read() {
                return 'x';
            }

            @Override
            public int read(byte[] target, int offset, int length) {
                reads.release();
                return length;
            }
        };
        SerialInputPump pump = SerialInputPump.start(endless, uart, THREADS);
        assertThat(reads.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
        pump.stop();
        assertThat(pump.thread().join(LONG)).isTrue();
    }

    @Test
    void after_stop_nothing_reaches_the_guest_though_the_read_goes_on() throws InterruptedException {
        CountDownLatch reading = new CountDownLatch(1);
        CountDownLatch typed = new CountDownLatch(1);
        InputStream terminal = new InputStream() {
            @Override
            public int read() throws IOException {
                reading.countDown();
                try {
                    typed.await();
                } catch (InterruptedException e) {
                    throw new IOException(e);
                }
                return 'x';
            }

            @Override
            public int read(byte[] target, int offset, int length) throws IOException {
                target[offset] = (byte) read();
                return 1;
            }
        };
        listen();
        SerialInputPump pump = SerialInputPump.start(terminal, uart, THREADS);
        assertThat(reading.await(30, TimeUnit.SECONDS)).isTrue();
        pump.stop();
        assertThat(pump.thread().isAlive()).isTrue();
        typed.countDown();
        assertThat(pump.thread().join(LONG)).isTrue();
        assertThat(uart.readByte(LSR) & UART_LSR_DR).isZero();
    }

    @Test
    void a_stream_that_fails_ends_the_pump_with_the_reason() throws Exception {
        InputStream broken = InputStream.nullInputStream();
        broken.close();
        SerialInputPump pump = SerialInputPump.start(broken, uart, THREADS);
        assertThat(pump.thread().join(LONG)).isTrue();
        assertThat(pump.failure()).hasMessage("Stream closed");
    }
}
