package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.SerialRegisters.*;

import io.thimble.vmm.bus.ByteWideDevice;
import io.thimble.vmm.bus.InterruptLine;
import io.thimble.vmm.bus.Stateful;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A 16550A UART (National Semiconductor PC16550D), eight registers wide.
 *
 * <p>A character takes no time: it is handed to the {@link SerialOutput} at once, and an input below the trigger level
 * reports the character time-out at once. Speed, width and parity are stored and have no effect.
 *
 * <p><b>Output.</b> An output that refuses a character leaves it in the transmitter: the 16 of the FIFO and the one in
 * the shift register are kept, THRE stays clear, and what the guest writes beyond is lost and counted, as on the wire.
 * Linux waits for THRE without limit when a process writes, and for some 10 ms a character when the kernel logs.
 *
 * <p><b>Input.</b> {@link #receive} fills a bounded buffer from which the receiver is refilled as the guest reads, so
 * input does not overrun it. As with hardware flow control the buffer waits while the guest keeps RTS clear: Linux
 * empties the FIFO when it opens a port and sets RTS after that, so what was typed during boot is not lost. A guest
 * must set RTS to be heard. In loopback mode the buffer waits as well.
 *
 * <p><b>Interrupt.</b> The level is asserted while IIR tells a source, OUT2 is set and loopback is off (loopback takes
 * OUT2 off its pin). It falls and rises again when a character is written while the last "transmitter empty" was not
 * yet acknowledged, so an edge-triggered input misses none; characters written in one run up to the FIFO's depth share
 * one edge.
 *
 * <p><b>Threads.</b> Registers: any vCPU thread. {@link #receive}, {@link #receiveBreak}, {@link #setModemInputs}: any
 * thread. All state is under one lock, held for nanoseconds and never while the output or a callback runs; the
 * interrupt line alone is driven under it. Characters reach the output in order, by one thread at a time: the one that
 * finds the transmitter idle.
 */
public final class Serial16550 implements ByteWideDevice, Stateful<Serial16550.State>, InputTarget {
    /** Registers, in bytes. */
    public static final int LENGTH = 8;

    /** The first port of COM1. */
    public static final int COM1_PORT = 0x3f8;

    /** The first port of COM2. */
    public static final int COM2_PORT = 0x2f8;

    /** Characters of input that wait for the guest unless asked for otherwise. */
    public static final int DEFAULT_INPUT_CAPACITY = 4096;

    private final Object lock = new Object();
    private final InterruptLine interrupt;
    private final SerialOutput output;
    private volatile @Nullable Runnable inputRoom;

    private final ReceiverFifo receiver = new ReceiverFifo();
    private final ByteRing input;
    private final ByteRing transmitter = new ByteRing(ReceiverFifo.DEPTH);
    private int shiftRegister = -1;
    private boolean transmitting;
    private boolean roomSignalled;
    private boolean inputRefused;
    private int burst;
    private long transmitOverruns;

    private int ier;
    private int fcr;
    private int lcr;
    private int mcr;
    private int scr;
    private int dll = 0x0c;
    private int dlm;
    private int modemInputs = UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD;
    private int modemDeltas;
    private boolean thrEmptyPending;
    private boolean level;

    /** Makes a UART after reset, with 4 KiB of input buffer, connected to a terminal that is ready. */
    public Serial16550(InterruptLine interrupt, SerialOutput output) {
        this(interrupt, output, DEFAULT_INPUT_CAPACITY);
    }

    /**
     * Makes a UART after reset, connected to a terminal that is ready (CTS, DSR and DCD set).
     *
     * @param inputCapacity characters that {@link #receive} accepts before the guest reads them, at least 1
     */
    public Serial16550(InterruptLine interrupt, SerialOutput output, int inputCapacity) {
        this.interrupt = interrupt;
        this.output = output;
        this.input = new ByteRing(inputCapacity);
        output.onRoom(this::outputHasRoom);
    }

    @Override
    public int readByte(int offset) {
        int value;
        Runnable callback;
        synchronized (lock) {
            burst = 0;
            value = switch (offset) {
                case RBR -> divisorLatch() ? dll : readRbr();
                case IER -> divisorLatch() ? dlm : ier;
                case IIR -> readIir();
                case LCR -> lcr;
                case MCR -> mcr;
                case LSR -> readLsr();
                case MSR -> readMsr();
                case SCR -> scr;
                default -> 0xff;
            };
            updateInterrupt();
            callback = takeInputRoomCallback();
        }
        if (callback != null) {
            callback.run();
        }
        return value;
    }

    @Override
    public void writeByte(int offset, int value) {
        boolean transmit = false;
        Runnable callback;
        synchronized (lock) {
            if (offset == THR && !divisorLatch()) {
                transmit = writeThr(value);
            } else {
                burst = 0;
                writeControl(offset, value);
                updateInterrupt();
            }
            callback = takeInputRoomCallback();
        }
        if (transmit) {
            transmit();
        }
        if (callback != null) {
            callback.run();
        }
    }

    /**
     * Sends characters to the guest: as many as the input buffer has room for. If fewer than asked for were taken, the
     * callback of {@link #onInputRoom} runs once when half of the buffer is free. Callable from any thread.
     *
     * @return how many characters were accepted, 0..length
     * @throws IndexOutOfBoundsException if the array has no such range
     */
    @Override
    public int receive(byte[] source, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, source.length);
        synchronized (lock) {
            int accepted = 0;
            int step;
            do {
                step = input.put(source, offset + accepted, length - accepted);
                accepted += step;
                refillReceiver();
            } while (step > 0 && accepted < length);
            inputRefused |= accepted < length;
            updateInterrupt();
            return accepted;
        }
    }

    /**
     * Sends a break, which Linux takes as the start of a magic-SysRq sequence on a console. It goes ahead of buffered
     * input. Callable from any thread.
     */
    public void receiveBreak() {
        synchronized (lock) {
            receiver.push(0, UART_LSR_BI | UART_LSR_FE);
            updateInterrupt();
        }
    }

    /**
     * Names what to run when there is room again after {@link #receive} took less than it was given. It runs on the
     * vCPU thread whose read made the room, without any lock of the UART, and must not block.
     */
    @Override
    public void onInputRoom(Runnable callback) {
        inputRoom = callback;
    }

    /**
     * Sets the modem's lines as the guest sees them in MSR. Callable from any thread.
     *
     * @param msr bits 7:4 as in MSR: DCD 0x80, RI 0x40, DSR 0x20, CTS 0x10
     */
    public void setModemInputs(int msr) {
        synchronized (lock) {
            int before = modemStatus();
            modemInputs = msr & MSR_INPUTS;
            noteModemChange(before);
            updateInterrupt();
        }
    }

    /** Returns how many characters the guest wrote while the transmitter was full: they are lost. Any thread. */
    public long transmitOverruns() {
        synchronized (lock) {
            return transmitOverruns;
        }
    }

    private boolean divisorLatch() {
        return (lcr & UART_LCR_DLAB) != 0;
    }

    private boolean fifoEnabled() {
        return (fcr & UART_FCR_ENABLE_FIFO) != 0;
    }

    private boolean loopback() {
        return (mcr & UART_MCR_LOOP) != 0;
    }

    private int readRbr() {
        int value = receiver.pop();
        refillReceiver();
        return value;
    }

    private int readIir() {
        int source = interruptSource();
        if (source == UART_IIR_THRI) {
            thrEmptyPending = false;
        }
        return source | (fifoEnabled() ? UART_IIR_FIFO_ENABLED : 0);
    }

    private int readLsr() {
        int value = receiver.lineStatus();
        receiver.clearErrors();
        if (transmitter.isEmpty()) {
            value |= UART_LSR_THRE;
            if (shiftRegister < 0) {
                value |= UART_LSR_TEMT;
            }
        }
        return value;
    }

    private int readMsr() {
        int value = modemStatus() | modemDeltas;
        modemDeltas = 0;
        return value;
    }

    private void writeControl(int offset, int value) {
        switch (offset) {
            case DLL -> dll = value;
            case IER -> {
                if (divisorLatch()) {
                    dlm = value;
                } else {
                    writeIer(value & IER_MASK);
                }
            }
            case FCR -> writeFcr(value);
            case LCR -> {
                if (loopback() && (value & ~lcr & UART_LCR_SBC) != 0) {
                    receiver.push(0, UART_LSR_BI | UART_LSR_FE);
                }
                lcr = value;
            }
            case MCR -> {
                int before = modemStatus();
                mcr = value & MCR_MASK;
                noteModemChange(before);
                refillReceiver();
            }
            case SCR -> scr = value;
            default -> {
                // LSR is for factory tests, MSR read-only.
            }
        }
    }

    private void writeIer(int value) {
        if (((value ^ ier) & UART_IER_THRI) != 0) {
            thrEmptyPending = (value & UART_IER_THRI) != 0 && transmitter.isEmpty();
        }
        ier = value;
    }

    private void writeFcr(int value) {
        boolean enable = (value & UART_FCR_ENABLE_FIFO) != 0;
        boolean modeChanges = enable != fifoEnabled();
        if (modeChanges || (enable && (value & UART_FCR_CLEAR_RCVR) != 0)) {
            receiver.clear();
        }
        if (modeChanges || (enable && (value & UART_FCR_CLEAR_XMIT) != 0)) {
            thrEmptyPending |= !transmitter.isEmpty();
            transmitter.clear();
        }
        fcr = enable ? value & (UART_FCR_ENABLE_FIFO | UART_FCR_DMA_SELECT | UART_FCR_TRIGGER_MASK) : 0;
        configureReceiver();
        refillReceiver();
    }

    private void configureReceiver() {
        int trigger = switch (fcr & UART_FCR_TRIGGER_MASK) {
            case 0x00 -> 1;
            case 0x40 -> 4;
            case 0x80 -> 8;
            default -> 14;
        };
        receiver.configure(fifoEnabled(), trigger);
    }

    /** Moves input to the receiver as far as it has room and the guest lets it. */
    private void refillReceiver() {
        if ((mcr & (UART_MCR_RTS | UART_MCR_LOOP)) != UART_MCR_RTS) {
            return;
        }
        while (!input.isEmpty() && !receiver.isFull()) {
            receiver.push(input.take(), 0);
        }
    }

    private @Nullable Runnable takeInputRoomCallback() {
        if (!inputRefused || input.size() > input.capacity() / 2) {
            return null;
        }
        inputRefused = false;
        return inputRoom;
    }

    /** Returns whether the caller is to {@link #transmit}. */
    private boolean writeThr(int value) {
        thrEmptyPending = false;
        if (!fifoEnabled() || burst == 0) {
            updateInterrupt();
        }
        burst = (burst + 1) % ReceiverFifo.DEPTH;
        if (loopback()) {
            receiver.push(value, 0);
            thrEmptyPending = transmitter.isEmpty();
            updateInterrupt();
            return false;
        }
        if (transmitter.size() == (fifoEnabled() ? ReceiverFifo.DEPTH : 1)) {
            transmitOverruns++;
        } else {
            transmitter.put((byte) value);
        }
        if (transmitting) {
            updateInterrupt();
            return false;
        }
        transmitting = true;
        return true;
    }

    /** Hands characters to the output until there are none or it refuses. Called by the one who set transmitting. */
    private void transmit() {
        while (true) {
            byte value;
            synchronized (lock) {
                if (shiftRegister < 0 && !transmitter.isEmpty()) {
                    shiftRegister = transmitter.take() & 0xff;
                    thrEmptyPending |= transmitter.isEmpty();
                }
                updateInterrupt();
                if (shiftRegister < 0) {
                    transmitting = false;
                    return;
                }
                value = (byte) shiftRegister;
                roomSignalled = false;
            }
            boolean accepted = output.offer(value);
            synchronized (lock) {
                if (accepted) {
                    shiftRegister = -1;
                } else if (!roomSignalled) {
                    transmitting = false;
                    return;
                }
            }
        }
    }

    private void outputHasRoom() {
        synchronized (lock) {
            roomSignalled = true;
            if (transmitting) {
                return;
            }
            transmitting = true;
        }
        transmit();
    }

    private int modemStatus() {
        if (!loopback()) {
            return modemInputs;
        }
        return ((mcr & UART_MCR_RTS) != 0 ? UART_MSR_CTS : 0)
                | ((mcr & UART_MCR_DTR) != 0 ? UART_MSR_DSR : 0)
                | ((mcr & UART_MCR_OUT1) != 0 ? UART_MSR_RI : 0)
                | ((mcr & UART_MCR_OUT2) != 0 ? UART_MSR_DCD : 0);
    }

    private void noteModemChange(int before) {
        int now = modemStatus();
        int changed = before ^ now;
        modemDeltas |= ((changed & UART_MSR_CTS) != 0 ? UART_MSR_DCTS : 0)
                | ((changed & UART_MSR_DSR) != 0 ? UART_MSR_DDSR : 0)
                | ((before & ~now & UART_MSR_RI) != 0 ? UART_MSR_TERI : 0)
                | ((changed & UART_MSR_DCD) != 0 ? UART_MSR_DDCD : 0);
    }

    /** Returns the pending source of the highest priority as IIR tells it (PC16550D, table IV). */
    private int interruptSource() {
        if ((ier & UART_IER_RLSI) != 0 && receiver.hasErrors()) {
            return UART_IIR_RLSI;
        }
        if ((ier & UART_IER_RDI) != 0 && receiver.count() > 0) {
            return receiver.triggered() ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
        }
        if ((ier & UART_IER_THRI) != 0 && thrEmptyPending) {
            return UART_IIR_THRI;
        }
        if ((ier & UART_IER_MSI) != 0 && modemDeltas != 0) {
            return UART_IIR_MSI;
        }
        return UART_IIR_NO_INT;
    }

    private boolean interruptAsserted() {
        return (mcr & (UART_MCR_OUT2 | UART_MCR_LOOP)) == UART_MCR_OUT2 && interruptSource() != UART_IIR_NO_INT;
    }

    private void updateInterrupt() {
        boolean asserted = interruptAsserted();
        if (asserted != level) {
            level = asserted;
            interrupt.setLevel(asserted);
        }
    }

    @Override
    public State state() {
        synchronized (lock) {
            return new State(
                    ier,
                    fcr,
                    lcr,
                    mcr,
                    modemInputs | modemDeltas,
                    scr,
                    dll,
                    dlm,
                    receiver.errors(),
                    thrEmptyPending,
                    receiver.toList(),
                    transmitter.toList(),
                    shiftRegister,
                    input.toList());
        }
    }

    @Override
    public void restore(State state) {
        boolean resume;
        synchronized (lock) {
            ier = state.ier & IER_MASK;
            fcr = state.fcr & (UART_FCR_ENABLE_FIFO | UART_FCR_DMA_SELECT | UART_FCR_TRIGGER_MASK);
            lcr = state.lcr & 0xff;
            mcr = state.mcr & MCR_MASK;
            modemInputs = state.msr & MSR_INPUTS;
            modemDeltas = state.msr & UART_MSR_ANY_DELTA;
            scr = state.scr & 0xff;
            dll = state.dll & 0xff;
            dlm = state.dlm & 0xff;
            configureReceiver();
            receiver.replace(state.receiver, state.lsrErrors);
            transmitter.replace(state.transmitter);
            shiftRegister = Math.clamp(state.shiftRegister, -1, 0xff);
            input.replace(state.input);
            thrEmptyPending = state.thrEmptyPending;
            burst = 0;
            level = interruptAsserted();
            interrupt.setLevel(level);
            resume = !transmitting;
            transmitting = true;
        }
        if (resume) {
            transmit();
        }
    }

    /**
     * What the guest can see of a UART, and the input that waits for it.
     *
     * @param ier Interrupt Enable Register
     * @param fcr FIFO Control Register without its self-clearing bits
     * @param lcr Line Control Register
     * @param mcr Modem Control Register
     * @param msr Modem Status Register; bits 7:4 are the modem's lines, which loopback hides
     * @param scr Scratch Register
     * @param dll Divisor Latch, low
     * @param dlm Divisor Latch, high
     * @param lsrErrors OE, PE, FE and BI of the Line Status Register
     * @param thrEmptyPending whether "transmitter empty" is still to be acknowledged
     * @param receiver received characters, oldest first: character in bits 7:0, LSR error bits in 15:8
     * @param transmitter characters to send, oldest first
     * @param shiftRegister the character that the output has refused so far, or -1
     * @param input characters that wait to be received, oldest first
     */
    public record State(
            int ier,
            int fcr,
            int lcr,
            int mcr,
            int msr,
            int scr,
            int dll,
            int dlm,
            int lsrErrors,
            boolean thrEmptyPending,
            List<Integer> receiver,
            List<Integer> transmitter,
            int shiftRegister,
            List<Integer> input) {
        /** Copies the lists. */
        public State {
            receiver = List.copyOf(receiver);
            transmitter = List.copyOf(transmitter);
            input = List.copyOf(input);
        }
    }
}
