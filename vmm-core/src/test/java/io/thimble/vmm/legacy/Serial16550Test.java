package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.SerialRegisters.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** The rules of the PC16550D datasheet, register by register. */
class Serial16550Test {
    private static final int FIFO = UART_FCR_ENABLE_FIFO;
    private static final int LISTENING = UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2;
    private static final int IDLE = UART_LSR_THRE | UART_LSR_TEMT;

    private final RecordingLine line = new RecordingLine();
    private final ByteArrayOutputStream sent = new ByteArrayOutputStream();
    private final Serial16550 uart = new Serial16550(line, SerialOutput.direct(sent::write));

    private int receive(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        return uart.receive(bytes, 0, bytes.length);
    }

    private String readAll() {
        StringBuilder text = new StringBuilder();
        while ((uart.readByte(LSR) & UART_LSR_DR) != 0) {
            text.append((char) uart.readByte(RBR));
        }
        return text.toString();
    }

    @Test
    void sends_what_is_written_to_thr_at_once() {
        uart.writeByte(THR, 'h');
        uart.writeByte(THR, 'i');
        assertThat(sent.toString(StandardCharsets.US_ASCII)).isEqualTo("hi");
        assertThat(uart.readByte(LSR)).isEqualTo(IDLE);
    }

    @Test
    void dlab_shows_the_divisor_latch_instead_of_data_and_ier() {
        uart.writeByte(IER, 0x05);
        uart.writeByte(LCR, UART_LCR_DLAB | 3);
        uart.writeByte(DLL, 0x34);
        uart.writeByte(DLM, 0x12);
        assertThat(uart.readByte(DLL)).isEqualTo(0x34);
        assertThat(uart.readByte(DLM)).isEqualTo(0x12);
        uart.writeByte(LCR, 3);
        assertThat(uart.readByte(IER)).isEqualTo(0x05);
        assertThat(sent.size()).isZero();
    }

    @Test
    void scratch_and_lcr_hold_what_is_written_and_ier_and_mcr_only_their_bits() {
        uart.writeByte(SCR, 0xa5);
        uart.writeByte(LCR, 0x7f);
        uart.writeByte(MCR, 0xff);
        uart.writeByte(IER, 0xff);
        assertThat(uart.readByte(SCR)).isEqualTo(0xa5);
        assertThat(uart.readByte(LCR)).isEqualTo(0x7f);
        assertThat(uart.readByte(MCR)).isEqualTo(0x1f);
        assertThat(uart.readByte(IER)).isEqualTo(0x0f);
    }

    @Test
    void enabling_the_transmitter_interrupt_with_thr_empty_asserts_it_each_time() {
        uart.writeByte(MCR, LISTENING);
        for (int i = 0; i < 2; i++) {
            uart.writeByte(IER, UART_IER_THRI);
            assertThat(line.level()).isTrue();
            assertThat(line.takeEdges()).isEqualTo(1);
            assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_THRI);
            assertThat(line.level()).isFalse();
            assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_NO_INT);
            uart.writeByte(IER, UART_IER_THRI);
            assertThat(line.takeEdges()).as("written again, not enabled again").isZero();
            uart.writeByte(IER, 0);
        }
    }

    @Test
    void a_written_character_raises_the_transmitter_interrupt_anew() {
        uart.writeByte(MCR, LISTENING);
        uart.writeByte(IER, UART_IER_THRI);
        uart.readByte(IIR);
        line.takeEdges();
        uart.writeByte(THR, 'a');
        assertThat(line.takeEdges()).isEqualTo(1);
        uart.writeByte(THR, 'b');
        assertThat(line.takeEdges()).as("16450 mode: an edge a character").isEqualTo(1);
        assertThat(line.level()).isTrue();
    }

    @Test
    void characters_written_in_one_run_share_one_edge_up_to_the_fifo_depth() {
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, LISTENING);
        uart.writeByte(IER, UART_IER_THRI);
        uart.readByte(IIR);
        line.takeEdges();
        for (int i = 0; i < 16; i++) {
            uart.writeByte(THR, 'x');
        }
        assertThat(line.takeEdges()).isEqualTo(1);
        uart.writeByte(THR, 'x');
        assertThat(line.takeEdges()).isEqualTo(1);
        uart.readByte(LSR);
        uart.writeByte(THR, 'x');
        assertThat(line.takeEdges()).isEqualTo(1);
        assertThat(sent.size()).isEqualTo(18);
    }

    @Test
    void iir_tells_the_sources_by_priority() {
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, LISTENING);
        uart.writeByte(IER, 0x0f);
        uart.setModemInputs(0);
        receive("a");
        uart.receiveBreak();
        int fifo = UART_IIR_FIFO_ENABLED;
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_RDI | fifo);
        assertThat(uart.readByte(RBR)).isEqualTo('a');
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_RLSI | fifo);
        assertThat(uart.readByte(LSR) & 0x1f).isEqualTo(UART_LSR_DR | UART_LSR_BI | UART_LSR_FE);
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_RDI | fifo);
        assertThat(uart.readByte(RBR)).isZero();
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_THRI | fifo);
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_MSI | fifo);
        assertThat(line.level()).isTrue();
        assertThat(uart.readByte(MSR)).isEqualTo(UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_NO_INT | fifo);
        assertThat(line.level()).isFalse();
    }

    @Test
    void the_trigger_level_tells_data_available_from_the_time_out() {
        int[] levels = {1, 4, 8, 14};
        for (int i = 0; i < levels.length; i++) {
            uart.writeByte(FCR, FIFO | UART_FCR_CLEAR_RCVR | (i << 6));
            uart.writeByte(MCR, LISTENING);
            uart.writeByte(IER, UART_IER_RDI);
            receive("x".repeat(levels[i]));
            assertThat(uart.readByte(IIR) & 0x0f).isEqualTo(UART_IIR_RDI);
            uart.readByte(RBR);
            assertThat(uart.readByte(IIR) & 0x0f).isEqualTo(levels[i] == 1 ? UART_IIR_NO_INT : UART_IIR_RX_TIMEOUT);
            assertThat(line.level()).isEqualTo(levels[i] > 1);
            readAll();
            assertThat(line.level()).isFalse();
        }
    }

    @Test
    void without_fifo_there_is_no_time_out_and_iir_shows_no_fifo() {
        uart.writeByte(MCR, LISTENING);
        uart.writeByte(IER, UART_IER_RDI);
        receive("a");
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_RDI);
    }

    @Test
    void input_waits_in_the_buffer_and_never_overruns_the_receiver() {
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, LISTENING);
        String text = "0123456789abcdefghijklmnopqrstuvwxyz";
        assertThat(receive(text)).isEqualTo(text.length());
        assertThat(uart.readByte(LSR) & UART_LSR_OE).isZero();
        assertThat(readAll()).isEqualTo(text);
    }

    @Test
    void input_waits_while_rts_is_clear_and_survives_the_clearing_of_the_fifo() {
        uart.writeByte(FCR, FIFO);
        receive("typed during boot");
        assertThat(uart.readByte(LSR) & UART_LSR_DR).isZero();
        uart.writeByte(FCR, FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
        uart.writeByte(MCR, LISTENING);
        assertThat(readAll()).isEqualTo("typed during boot");
    }

    @Test
    void takes_input_up_to_its_capacity_and_tells_when_half_is_free() {
        AtomicInteger calls = new AtomicInteger();
        Serial16550 small = new Serial16550(line, SerialOutput.direct(sent::write), 8);
        small.onInputRoom(calls::incrementAndGet);
        small.writeByte(FCR, FIFO);
        byte[] bytes = new byte[40];
        assertThat(small.receive(bytes, 0, 40)).isEqualTo(8);
        small.writeByte(MCR, LISTENING);
        assertThat(calls).hasValue(1);
        assertThat(small.receive(bytes, 8, 32))
                .as("8 more in the FIFO, 8 in the buffer")
                .isEqualTo(16);
        for (int i = 0; i < 3; i++) {
            small.readByte(RBR);
        }
        assertThat(calls).hasValue(1);
        small.readByte(RBR);
        assertThat(calls).hasValue(2);
        small.readByte(RBR);
        assertThat(calls).hasValue(2);
        assertThat(small.receive(bytes, 0, 2)).isEqualTo(2);
        small.readByte(RBR);
        assertThat(calls).as("everything was taken").hasValue(2);
    }

    @Test
    void refuses_a_range_outside_the_array() {
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> uart.receive(new byte[4], 2, 3));
    }

    @Test
    void fcr_clears_the_receiver_and_a_change_of_mode_does_too() {
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, LISTENING);
        receive("abc");
        uart.writeByte(FCR, FIFO | UART_FCR_CLEAR_RCVR);
        assertThat(uart.readByte(LSR) & UART_LSR_DR).isZero();
        receive("abc");
        uart.writeByte(FCR, 0);
        assertThat(uart.readByte(LSR) & UART_LSR_DR).isZero();
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_NO_INT);
    }

    @Test
    void fcr_bits_are_ignored_without_the_enable_bit() {
        uart.writeByte(FCR, FIFO | 0x80);
        uart.writeByte(FCR, 0xc0);
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, LISTENING);
        uart.writeByte(IER, UART_IER_RDI);
        receive("a");
        assertThat(uart.readByte(IIR) & 0x0f).as("trigger 1").isEqualTo(UART_IIR_RDI);
    }

    @Test
    void loopback_returns_characters_and_sends_none() {
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, UART_MCR_LOOP);
        for (char c : "loop".toCharArray()) {
            uart.writeByte(THR, c);
        }
        assertThat(readAll()).isEqualTo("loop");
        assertThat(sent.size()).isZero();
    }

    @Test
    void loopback_keeps_outside_input_waiting() {
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, LISTENING | UART_MCR_LOOP);
        receive("outside");
        assertThat(uart.readByte(LSR) & UART_LSR_DR).isZero();
        uart.writeByte(MCR, LISTENING);
        assertThat(readAll()).isEqualTo("outside");
    }

    @Test
    void the_seventeenth_character_overruns_the_fifo_and_is_lost() {
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, UART_MCR_LOOP);
        for (int i = 0; i < 17; i++) {
            uart.writeByte(THR, 'a' + i);
        }
        assertThat(uart.readByte(LSR) & UART_LSR_OE).isNotZero();
        assertThat(uart.readByte(LSR) & UART_LSR_OE).as("cleared by the read").isZero();
        assertThat(readAll()).isEqualTo("abcdefghijklmnop");
    }

    @Test
    void without_fifo_the_second_character_overwrites_the_first() {
        uart.writeByte(MCR, UART_MCR_LOOP);
        uart.writeByte(THR, 'a');
        uart.writeByte(THR, 'b');
        assertThat(uart.readByte(LSR) & (UART_LSR_OE | UART_LSR_DR)).isEqualTo(UART_LSR_OE | UART_LSR_DR);
        assertThat(uart.readByte(RBR)).isEqualTo('b');
    }

    @Test
    void loopback_ties_the_modem_outputs_to_the_modem_inputs() {
        int[][] pairs = {
            {UART_MCR_RTS, UART_MSR_CTS},
            {UART_MCR_DTR, UART_MSR_DSR},
            {UART_MCR_OUT1, UART_MSR_RI},
            {UART_MCR_OUT2, UART_MSR_DCD}
        };
        for (int[] pair : pairs) {
            uart.writeByte(MCR, UART_MCR_LOOP | pair[0]);
            assertThat(uart.readByte(MSR) & 0xf0).isEqualTo(pair[1]);
        }
    }

    @Test
    void modem_deltas_tell_changes_once_and_ri_only_its_trailing_edge() {
        assertThat(uart.readByte(MSR)).isEqualTo(UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD);
        uart.setModemInputs(UART_MSR_RI | UART_MSR_DSR);
        assertThat(uart.readByte(MSR)).isEqualTo(UART_MSR_RI | UART_MSR_DSR | UART_MSR_DCTS | UART_MSR_DDCD);
        assertThat(uart.readByte(MSR)).isEqualTo(UART_MSR_RI | UART_MSR_DSR);
        uart.setModemInputs(UART_MSR_DSR);
        assertThat(uart.readByte(MSR)).isEqualTo(UART_MSR_DSR | UART_MSR_TERI);
    }

    @Test
    void out2_gates_the_interrupt_and_so_does_loopback() {
        uart.writeByte(IER, UART_IER_THRI);
        assertThat(line.level()).isFalse();
        uart.writeByte(MCR, UART_MCR_OUT2);
        assertThat(line.level()).isTrue();
        uart.writeByte(MCR, UART_MCR_OUT2 | UART_MCR_LOOP);
        assertThat(line.level()).isFalse();
        assertThat(uart.readByte(IIR)).as("IIR tells it all the same").isEqualTo(UART_IIR_THRI);
    }

    @Test
    void an_error_shows_when_its_character_is_the_oldest_and_bit_7_sums_up() {
        uart.writeByte(FCR, FIFO);
        uart.writeByte(MCR, LISTENING);
        receive("a");
        uart.receiveBreak();
        int status = uart.readByte(LSR);
        assertThat(status & UART_LSR_BI).isZero();
        assertThat(status & UART_LSR_FIFOE).isNotZero();
        uart.readByte(RBR);
        assertThat(uart.readByte(LSR) & (UART_LSR_BI | UART_LSR_FIFOE)).isEqualTo(UART_LSR_BI | UART_LSR_FIFOE);
        assertThat(uart.readByte(LSR) & (UART_LSR_BI | UART_LSR_FIFOE)).isZero();
    }

    @Test
    void set_break_in_loopback_is_received_as_a_break() {
        uart.writeByte(MCR, UART_MCR_LOOP);
        uart.writeByte(LCR, UART_LCR_SBC | 3);
        assertThat(uart.readByte(LSR) & UART_LSR_BI).isNotZero();
        assertThat(uart.readByte(RBR)).isZero();
    }

    @Test
    void a_refused_character_holds_thre_back_until_there_is_room() {
        RefusingOutput output = new RefusingOutput();
        Serial16550 held = new Serial16550(line, output);
        held.writeByte(FCR, FIFO);
        held.writeByte(MCR, LISTENING);
        held.writeByte(IER, UART_IER_THRI);
        held.readByte(IIR);
        output.room = 1;
        held.writeByte(THR, 'a');
        assertThat(held.readByte(LSR) & IDLE).isEqualTo(IDLE);
        held.writeByte(THR, 'b');
        assertThat(held.readByte(LSR) & IDLE).as("b is in the shift register").isEqualTo(UART_LSR_THRE);
        held.readByte(IIR);
        for (int i = 0; i < 16; i++) {
            held.writeByte(THR, 'c' + i);
        }
        assertThat(held.readByte(LSR) & IDLE).isZero();
        assertThat(line.level()).isFalse();
        assertThat(held.readByte(IIR) & 0x0f).isEqualTo(UART_IIR_NO_INT);
        assertThat(held.transmitOverruns()).isZero();
        held.writeByte(THR, '!');
        assertThat(held.transmitOverruns()).isEqualTo(1);
        line.takeEdges();
        output.giveRoom(100);
        assertThat(output.text).hasToString("abcdefghijklmnopqr");
        assertThat(line.takeEdges()).isEqualTo(1);
        assertThat(held.readByte(IIR) & 0x0f).isEqualTo(UART_IIR_THRI);
        assertThat(held.readByte(LSR) & IDLE).isEqualTo(IDLE);
    }

    @Test
    void room_that_comes_while_a_refusal_is_on_its_way_is_not_missed() {
        StringBuilder text = new StringBuilder();
        Serial16550 held = new Serial16550(line, new SerialOutput() {
            private Runnable callback = () -> {};
            private boolean refuse;

            @Override
            public boolean offer(byte value) {
                refuse = !refuse;
                if (refuse) {
                    callback.run();
                    return false;
                }
                text.append((char) value);
                return true;
            }

            @Override
            public void onRoom(Runnable onRoom) {
                callback = onRoom;
            }
        });
        held.writeByte(THR, 'a');
        held.writeByte(THR, 'b');
        assertThat(text).hasToString("ab");
        assertThat(held.readByte(LSR)).isEqualTo(IDLE);
    }

    @Test
    void fcr_clears_the_transmitter_but_not_the_character_being_shifted() {
        RefusingOutput output = new RefusingOutput();
        Serial16550 held = new Serial16550(line, output);
        held.writeByte(FCR, FIFO);
        held.writeByte(THR, 'a');
        held.writeByte(IER, UART_IER_THRI);
        held.writeByte(THR, 'b');
        assertThat(held.readByte(IIR) & 0x0f).isEqualTo(UART_IIR_NO_INT);
        held.writeByte(FCR, FIFO | UART_FCR_CLEAR_XMIT);
        assertThat(held.readByte(IIR) & 0x0f).isEqualTo(UART_IIR_THRI);
        assertThat(held.readByte(LSR) & IDLE).isEqualTo(UART_LSR_THRE);
        output.giveRoom(10);
        assertThat(output.text).hasToString("a");
    }

    @Test
    void the_direct_callback_may_answer_on_the_same_uart() {
        Serial16550[] self = new Serial16550[1];
        self[0] = new Serial16550(
                line,
                SerialOutput.direct(value ->
                        assertThat(self[0].receive(new byte[] {++value}, 0, 1)).isEqualTo(1)));
        self[0].writeByte(FCR, FIFO);
        self[0].writeByte(MCR, LISTENING);
        self[0].writeByte(THR, 'a');
        self[0].writeByte(THR, 'b');
        assertThat(self[0].readByte(RBR)).isEqualTo('b');
        assertThat(self[0].readByte(RBR)).isEqualTo('c');
    }

    @Test
    void a_restored_uart_goes_on_where_the_other_stopped() {
        RefusingOutput output = new RefusingOutput();
        Serial16550 from = new Serial16550(new RecordingLine(), output);
        from.writeByte(FCR, FIFO | 0x40);
        from.writeByte(MCR, LISTENING);
        from.writeByte(LCR, UART_LCR_DLAB);
        from.writeByte(DLL, 7);
        from.writeByte(LCR, 3);
        from.writeByte(SCR, 9);
        from.writeByte(IER, 0x0f);
        from.writeByte(THR, 'x');
        from.writeByte(THR, 'y');
        from.setModemInputs(UART_MSR_RI);
        from.receive("0123456789abcdefgh".getBytes(StandardCharsets.US_ASCII), 0, 18);
        Serial16550.State state = from.state();

        uart.restore(state);
        assertThat(line.level()).isTrue();
        assertThat(sent.toString(StandardCharsets.US_ASCII)).isEqualTo("xy");
        assertThat(uart.readByte(MSR)).isEqualTo(from.readByte(MSR));
        assertThat(uart.readByte(SCR)).isEqualTo(9);
        assertThat(uart.readByte(IIR)).isEqualTo(UART_IIR_RDI | UART_IIR_FIFO_ENABLED);
        assertThat(readAll()).isEqualTo("0123456789abcdefgh");

        Serial16550 again = new Serial16550(new RecordingLine(), new RefusingOutput());
        again.restore(state);
        assertThat(again.state()).isEqualTo(state);
    }

    /** An output that takes as much as it was given room for. */
    private static final class RefusingOutput implements SerialOutput {
        final StringBuilder text = new StringBuilder();
        int room;
        private Runnable callback = () -> {};

        @Override
        public boolean offer(byte value) {
            if (room == 0) {
                return false;
            }
            room--;
            text.append((char) value);
            return true;
        }

        @Override
        public void onRoom(Runnable onRoom) {
            callback = onRoom;
        }

        void giveRoom(int characters) {
            room = characters;
            callback.run();
        }
    }
}
