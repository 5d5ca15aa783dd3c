package io.thimble.virtio.console;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/**
 * One port of a {@link ConsoleDevice}: a stream of bytes each way. {@link #receive}, {@link #onInputRoom} and
 * {@link #endInput} may be called from any thread; the rest is the device's, on its loop's thread.
 */
public final class ConsolePort {
    /** How many bytes of input wait for a guest that does not read. */
    public static final int INPUT_CAPACITY = 64 * 1024;

    /** The longest name in bytes of UTF-8: what fits in the buffers of Linux's driver together with a message. */
    public static final int MAX_NAME = 128;

    private final Optional<String> name;
    private final PortOutput output;
    private final boolean guestWrites;
    private final PortInput input = new PortInput(INPUT_CAPACITY);
    private volatile Runnable wake = () -> {};
    private volatile boolean inputEnded;

    /** Whether the guest has opened the port; without F_MULTIPORT it always has. */
    boolean guestOpen;
    /** Control messages that the guest has not been told yet: {@link ControlMessage}'s bits. */
    int pending;
    /** Whether the guest knows that the host has closed its side. */
    boolean toldClosed;
    /** How much of the guest's next buffer is written out already. */
    long sent;

    /**
     * What a port holds, for a snapshot.
     *
     * @param guestOpen whether the guest has opened it
     * @param pending control messages that the guest has yet to be told, a bit each
     * @param sent how many bytes of the guest's next buffer are written out
     * @param inputEnded whether no input follows
     * @param input what the guest has not read, oldest first, as values 0..255
     */
    public record State(boolean guestOpen, int pending, long sent, boolean inputEnded, List<Integer> input) {
        /** Copies the list. */
        public State {
            input = List.copyOf(input);
        }
    }

    private ConsolePort(Optional<String> name, PortOutput output, boolean guestWrites) {
        name.ifPresent(ConsolePort::check);
        this.name = name;
        this.output = output;
        this.guestWrites = guestWrites;
    }

    private static void check(String name) {
        int bytes = name.getBytes(StandardCharsets.UTF_8).length;
        if (bytes < 1 || bytes > MAX_NAME || name.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("a port's name has 1 to " + MAX_NAME + " bytes, and no NUL");
        }
    }

    /** Makes a console. */
    public static ConsolePort console(PortOutput output) {
        return new ConsolePort(Optional.empty(), output, true);
    }

    /**
     * Makes a port by which programs of the guest talk to the host.
     *
     * @param name by which they find it, 1 to {@value #MAX_NAME} bytes of UTF-8
     */
    public static ConsolePort named(String name, PortOutput output) {
        return new ConsolePort(Optional.of(name), output, true);
    }

    /** Makes a port that the guest only reads: its reader sees the end after {@link #endInput}. */
    public static ConsolePort readOnly(String name) {
        return new ConsolePort(Optional.of(name), PortOutput.none(), false);
    }

    /** Returns the name; empty for a console. */
    public Optional<String> name() {
        return name;
    }

    boolean isConsole() {
        return name.isEmpty();
    }

    PortOutput output() {
        return output;
    }

    PortInput input() {
        return input;
    }

    /**
     * Sends bytes to the guest.
     *
     * @return how many were taken: fewer than {@code length} if the guest does not read; the callback of
     *     {@link #onInputRoom} follows then
     */
    public int receive(byte[] bytes, int offset, int length) {
        int taken = input.add(bytes, offset, length);
        if (taken > 0) {
            wake.run();
        }
        return taken;
    }

    /** Sends all of the bytes to the guest or none, likewise; returns whether it did. */
    public boolean receiveAll(byte[] bytes) {
        boolean taken = input.addAll(bytes);
        if (taken) {
            wake.run();
        }
        return taken;
    }

    /** Names what to run once there is room after a {@link #receive} that took less than it was given. */
    public void onInputRoom(Runnable callback) {
        input.onRoom(callback);
    }

    /**
     * Tells that no input follows. The guest notices on a {@link #readOnly} port only: the host closes it once everything
     * was read. The specification has no such word for one direction of a port.
     */
    public void endInput() {
        inputEnded = true;
        wake.run();
    }

    /** Tells whether the host has its side of the port open. */
    boolean hostOpen() {
        return guestWrites || !inputEnded || !input.isEmpty();
    }

    void onInput(Runnable newWake) {
        wake = newWake;
    }

    /** Forgets the driver; what it has not read stays. */
    void reset() {
        guestOpen = false;
        toldClosed = false;
        pending = 0;
        sent = 0;
    }

    State state() {
        return new State(guestOpen, pending, sent, inputEnded, input.toList());
    }

    void restore(State state) {
        if (state.sent() < 0) {
            throw new IllegalArgumentException(state.sent() + " bytes written out");
        }
        input.replace(state.input());
        guestOpen = state.guestOpen();
        pending = state.pending() & ControlMessage.ALL;
        sent = state.sent();
        inputEnded = state.inputEnded();
    }

    @Override
    public String toString() {
        return name.orElse("console");
    }
}
