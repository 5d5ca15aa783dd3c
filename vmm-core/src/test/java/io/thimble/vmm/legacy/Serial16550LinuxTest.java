package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.SerialRegisters.*;
import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.bus.InterruptLine;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** What Linux's 8250 driver asks of the chip before it calls it a 16550A and trusts its interrupt. */
class Serial16550LinuxTest {
    private final RecordingLine line = new RecordingLine();
    private final ByteArrayOutputStream sent = new ByteArrayOutputStream();
    private final Serial16550 uart = new Serial16550(line, SerialOutput.direct(sent::write));

    @Test
    void the_probe_finds_a_port() {
        uart.writeByte(IER, 0);
        assertThat(uart.readByte(IER) & 0x0f).isZero();
        uart.writeByte(IER, 0x0f);
        assertThat(uart.readByte(IER) & 0x0f).isEqualTo(0x0f);
        uart.writeByte(IER, 0);
        uart.writeByte(MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
        assertThat(uart.readByte(MSR) & 0xf0).isEqualTo(UART_MSR_DCD | UART_MSR_CTS);
        uart.writeByte(MCR, 0);
    }

    @Test
    void the_probe_calls_it_a_16550a_and_nothing_newer() {
        uart.writeByte(FCR, UART_FCR_ENABLE_FIFO);
        assertThat(uart.readByte(IIR) >> 6).as("16550A").isEqualTo(3);

        uart.writeByte(LCR, 0xbf);
        assertThat(uart.readByte(2))
                .as("no extended features register: no 16650")
                .isNotZero();
        uart.writeByte(LCR, 0);

        int fifo64 = 0x20;
        uart.writeByte(FCR, UART_FCR_ENABLE_FIFO | fifo64);
        assertThat(uart.readByte(IIR) >> 5).as("no 16750").isEqualTo(6);
        uart.writeByte(FCR, UART_FCR_ENABLE_FIFO);
        uart.writeByte(LCR, UART_LCR_DLAB);
        uart.writeByte(FCR, UART_FCR_ENABLE_FIFO | fifo64);
        assertThat(uart.readByte(IIR) >> 5).as("no 16750").isEqualTo(6);
        uart.writeByte(LCR, 0);

        int unitEnable = 0x40;
        uart.writeByte(IER, unitEnable);
        assertThat(uart.readByte(IER) & unitEnable).as("no XScale").isZero();
    }

    @Test
    void the_fifo_measures_sixteen_in_loopback() {
        uart.writeByte(FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
        uart.writeByte(MCR, UART_MCR_LOOP);
        for (int i = 0; i < 256; i++) {
            uart.writeByte(THR, i);
        }
        int count = 0;
        while ((uart.readByte(LSR) & UART_LSR_DR) != 0 && count < 256) {
            assertThat(uart.readByte(RBR)).isEqualTo(count++);
        }
        assertThat(count).isEqualTo(16);
    }

    @Test
    void the_start_up_test_finds_no_bug_in_the_transmitter_interrupt() {
        uart.writeByte(MCR, UART_MCR_OUT2);
        uart.writeByte(IER, UART_IER_THRI);
        int first = uart.readByte(IIR);
        uart.writeByte(IER, 0);
        uart.writeByte(IER, UART_IER_THRI);
        int second = uart.readByte(IIR);
        uart.writeByte(IER, 0);
        assertThat(first & UART_IIR_NO_INT).isZero();
        assertThat(second & UART_IIR_NO_INT).isZero();

        uart.writeByte(IER, UART_IER_THRI);
        assertThat(uart.readByte(LSR) & UART_LSR_TEMT).isNotZero();
        assertThat(uart.readByte(IIR) & UART_IIR_NO_INT).isZero();
    }

    /** The driver's handler, run on each rising edge only, sends everything: no edge is ever lost. */
    @Test
    void an_edge_triggered_handler_sends_and_receives_everything() {
        byte[] output = "a line that is longer than one FIFO, and then some more".getBytes(StandardCharsets.US_ASCII);
        byte[] input = "input that is longer than one FIFO as well".getBytes(StandardCharsets.US_ASCII);
        EdgeDriver driver = new EdgeDriver(output);
        Serial16550 port = new Serial16550(driver, SerialOutput.direct(sent::write));
        port.writeByte(FCR, UART_FCR_ENABLE_FIFO | 0x80);
        port.writeByte(MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
        port.writeByte(IER, UART_IER_RDI | UART_IER_RLSI | UART_IER_THRI);
        for (int i = 0; i < input.length; i++) {
            port.receive(input, i, 1);
            if (i % 5 == 0) {
                driver.service(port);
            }
        }
        driver.service(port);
        assertThat(sent.toByteArray()).isEqualTo(output);
        assertThat(driver.received.toByteArray()).isEqualTo(input);
    }

    /** serial8250_interrupt: runs when an edge was latched, until IIR tells nothing. */
    private static final class EdgeDriver implements InterruptLine {
        final ByteArrayOutputStream received = new ByteArrayOutputStream();
        private final byte[] output;
        private int next;
        private boolean level;
        private boolean latched;

        EdgeDriver(byte[] output) {
            this.output = output;
        }

        @Override
        public void setLevel(boolean asserted) {
            latched |= asserted && !level;
            level = asserted;
        }

        void service(Serial16550 port) {
            while (latched) {
                latched = false;
                while ((port.readByte(IIR) & UART_IIR_NO_INT) == 0) {
                    while ((port.readByte(LSR) & UART_LSR_DR) != 0) {
                        received.write(port.readByte(RBR));
                    }
                    if ((port.readByte(LSR) & UART_LSR_THRE) != 0) {
                        for (int i = 0; i < 16 && next < output.length; i++) {
                            port.writeByte(THR, output[next++]);
                        }
                        if (next == output.length) {
                            port.writeByte(IER, UART_IER_RDI | UART_IER_RLSI);
                        }
                    }
                }
            }
        }
    }
}
