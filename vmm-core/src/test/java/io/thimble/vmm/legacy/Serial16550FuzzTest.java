package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.SerialRegisters.*;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.util.SplittableRandom;
import org.junit.jupiter.api.RepeatedTest;

/** Random accesses, seeded: nothing throws, and the chip's registers agree with each other and with the line. */
class Serial16550FuzzTest {
    @RepeatedTest(20)
    void random_accesses_keep_the_registers_consistent() {
        long seed = new SplittableRandom().nextLong();
        SplittableRandom random = new SplittableRandom(seed);
        RecordingLine line = new RecordingLine();
        Output output = new Output(random.split());
        Serial16550 uart = new Serial16550(line, output, 1 + random.nextInt(64));
        for (int i = 0; i < 5_000; i++) {
            step(random, uart, output);
            check("seed " + seed + ", step " + i, uart, line);
        }
    }

    private static void step(SplittableRandom random, Serial16550 uart, Output output) {
        switch (random.nextInt(10)) {
            case 0, 1 -> write(random, uart);
            case 2, 3 -> uart.writeByte(THR, random.nextInt(256));
            case 4, 5, 6 -> uart.readByte(random.nextInt(8));
            case 7 -> uart.receive(new byte[64], 0, random.nextInt(65));
            case 8 -> {
                switch (random.nextInt(3)) {
                    case 0 -> uart.receiveBreak();
                    case 1 -> uart.setModemInputs(random.nextInt(256));
                    default -> {
                        Serial16550.State state = uart.state();
                        uart.restore(state);
                    }
                }
            }
            default -> output.giveRoom();
        }
    }

    /** Mostly leaves DLAB and loopback off and the FIFO on and filled, so that the rest of the chip is reached. */
    private static void write(SplittableRandom random, Serial16550 uart) {
        int offset = random.nextInt(8);
        int value = random.nextInt(256);
        if (random.nextInt(8) != 0) {
            value = switch (offset) {
                case FCR -> (value & UART_FCR_TRIGGER_MASK) | UART_FCR_ENABLE_FIFO;
                case LCR -> value & ~UART_LCR_DLAB;
                case MCR -> value & ~UART_MCR_LOOP;
                default -> value;
            };
        }
        uart.writeByte(offset, value);
    }

    private static void check(String when, Serial16550 uart, RecordingLine line) {
        Serial16550.State state = uart.state();
        boolean fifo = (state.fcr() & UART_FCR_ENABLE_FIFO) != 0;
        assertThat(state.receiver()).as(when).hasSizeLessThanOrEqualTo(fifo ? 16 : 1);
        assertThat(state.transmitter()).as(when).hasSizeLessThanOrEqualTo(fifo ? 16 : 1);
        assertThat(state.ier()).as(when).isBetween(0, 0x0f);
        if (!state.transmitter().isEmpty()) {
            assertThat(state.shiftRegister())
                    .as("%s: shift register before FIFO", when)
                    .isNotNegative();
            assertThat(state.thrEmptyPending())
                    .as("%s: THRE pending, THR not empty", when)
                    .isFalse();
        }
        boolean source = ((state.ier() & UART_IER_RLSI) != 0 && state.lsrErrors() != 0)
                || ((state.ier() & UART_IER_RDI) != 0 && !state.receiver().isEmpty())
                || ((state.ier() & UART_IER_THRI) != 0 && state.thrEmptyPending())
                || ((state.ier() & UART_IER_MSI) != 0 && (state.msr() & UART_MSR_ANY_DELTA) != 0);
        boolean gate = (state.mcr() & (UART_MCR_OUT2 | UART_MCR_LOOP)) == UART_MCR_OUT2;
        assertThat(line.level()).as("%s: line", when).isEqualTo(source && gate);
        boolean listens = (state.mcr() & (UART_MCR_RTS | UART_MCR_LOOP)) == UART_MCR_RTS;
        if (listens && !state.input().isEmpty()) {
            assertThat(state.receiver()).as("%s: input waits", when).hasSize(fifo ? 16 : 1);
        }
    }

    private static final class Output implements SerialOutput {
        private final ByteArrayOutputStream taken = new ByteArrayOutputStream();
        private final SplittableRandom random;
        private int room;
        private boolean refused;
        private Runnable callback = () -> {};

        Output(SplittableRandom random) {
            this.random = random;
        }

        @Override
        public boolean offer(byte value) {
            if (room == 0) {
                refused = true;
                return false;
            }
            room--;
            taken.write(value);
            return true;
        }

        @Override
        public void onRoom(Runnable onRoom) {
            callback = onRoom;
        }

        void giveRoom() {
            room = random.nextInt(20);
            if (refused && room > 0) {
                refused = false;
                callback.run();
            }
        }
    }
}
