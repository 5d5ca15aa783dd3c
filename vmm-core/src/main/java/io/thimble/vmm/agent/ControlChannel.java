package io.thimble.vmm.agent;

import static io.thimble.vmm.agent.ControlProtocol.*;

import io.thimble.vmm.guest.GuestText;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The host's end of the control channel, without threads or descriptors of its own: bytes that the guest wrote to its
 * second serial port go in by {@link #accept}, requests come out through a {@link Sink} that fills the port's receive
 * buffer.
 *
 * <p>Requests made before the agent has said hello are held back, the newest of each kind: an agent that is not there yet
 * would lose them, and its terminal would echo them.
 *
 * <p>Thread-safe. {@code accept} is called from one thread at a time (the port's lock sees to that); requests may come
 * from any. The listener is called without a lock held; the sink is called with the channel's lock held, so that requests
 * arrive whole: it must neither block nor call back.
 *
 * <p>The agent is not trusted: a frame of an unknown type, of a wrong length or with a value out of range, and one that
 * may come once and comes again, is ignored and counted.
 */
public final class ControlChannel {
    /** Where requests go. */
    @FunctionalInterface
    public interface Sink {
        /** Takes a whole frame, at most 518 bytes. */
        void write(byte[] frame);
    }

    /** The most LOG frames that reach the listener. */
    static final int MAX_LOG_LINES = 64;

    private static final int MAX_RELEASE = 64; // __NEW_UTS_LEN
    private static final long MAX_GRACE_MILLIS = 0xFFFF_FFFFL;

    private final AgentListener listener;
    private final Sink sink;
    private final FrameDecoder decoder = new FrameDecoder(this::frame);

    // Touched by the feeding thread only.
    private boolean ready;
    private boolean exited;
    private boolean stopping;
    private int logLines;

    private final AtomicLong ignoredFrames = new AtomicLong();

    private final Object lock = new Object();
    private boolean open; // guarded by lock, as the two below
    private byte @Nullable [] heldShutdown;
    private byte @Nullable [] heldWindowSize;

    /** Creates a channel that tells {@code listener} what the agent says, and writes requests to {@code sink}. */
    public ControlChannel(AgentListener listener, Sink sink) {
        this.listener = listener;
        this.sink = sink;
    }

    /** Takes a byte (the low eight bits) that the guest wrote. */
    public void accept(int value) {
        decoder.accept(value);
    }

    /** Takes bytes that the guest wrote. */
    public void accept(byte[] bytes, int offset, int length) {
        decoder.accept(bytes, offset, length);
    }

    /** Whether the agent has said hello: only then does a request have anyone to answer it. */
    public boolean isOpen() {
        synchronized (lock) {
            return open;
        }
    }

    /** Valid frames that were ignored. */
    public long ignoredFrames() {
        return ignoredFrames.get();
    }

    /**
     * Asks the agent to end all processes and to stop the machine.
     *
     * @param grace what processes get to end by themselves before they are killed; the agent takes at most ten minutes
     * @throws IllegalArgumentException if {@code grace} is negative
     */
    public void requestShutdown(StopAction action, Duration grace) {
        if (grace.isNegative()) {
            throw new IllegalArgumentException("grace of " + grace + " is negative");
        }
        long millis = grace.toSeconds() >= MAX_GRACE_MILLIS / 1000 ? MAX_GRACE_MILLIS : grace.toMillis();
        byte[] frame = FrameEncoder.shutdown(action, millis);
        synchronized (lock) {
            if (open) {
                sink.write(frame);
            } else {
                heldShutdown = frame;
            }
        }
    }

    /**
     * Tells the guest's console how large the terminal is.
     *
     * @throws IllegalArgumentException if either is not in 0 to 65535
     */
    public void setWindowSize(int rows, int columns) {
        if (rows < 0 || rows > 0xFFFF || columns < 0 || columns > 0xFFFF) {
            throw new IllegalArgumentException(
                    "a terminal of " + rows + " rows and " + columns + " columns is out of range");
        }
        byte[] frame = FrameEncoder.windowSize(rows, columns);
        synchronized (lock) {
            if (open) {
                sink.write(frame);
            } else {
                heldWindowSize = frame;
            }
        }
    }

    /**
     * Tells the agent how many bytes the console's input has in all, when it is a stream; after the agent has said that the
     * command runs, because no input is sent before.
     */
    public void inputEnded(long bytes) {
        byte[] frame = FrameEncoder.inputEnd(bytes);
        synchronized (lock) {
            sink.write(frame);
        }
    }

    private void frame(int type, byte[] buffer, int offset, int length) {
        boolean taken = switch (type) {
            case FRAME_HELLO -> hello(buffer, offset, length);
            case FRAME_READY -> ready(buffer, offset, length);
            case FRAME_EXIT -> exit(buffer, offset, length);
            case FRAME_STOPPING -> stopping(buffer, offset, length);
            case FRAME_INPUT_TAKEN -> inputTaken(buffer, offset, length);
            case FRAME_LOG -> log(buffer, offset, length);
            default -> false;
        };
        if (!taken) {
            ignoredFrames.incrementAndGet();
        }
    }

    private boolean hello(byte[] buffer, int offset, int length) {
        if (isOpen() || length < 8 || getU16(buffer, offset) == 0) {
            return false;
        }
        boolean init = (buffer[offset + 2] & HELLO_FLAG_INIT) != 0;
        String release = GuestText.printable(
                new String(buffer, offset + 8, Math.min(length - 8, MAX_RELEASE), StandardCharsets.US_ASCII));
        listener.hello(getU16(buffer, offset), init, getU32(buffer, offset + 4), release);
        listener.streams((buffer[offset + 2] & HELLO_FLAG_SESSION) != 0);
        synchronized (lock) {
            open = true;
            if (heldWindowSize != null) {
                sink.write(heldWindowSize);
                heldWindowSize = null;
            }
            if (heldShutdown != null) {
                sink.write(heldShutdown);
                heldShutdown = null;
            }
        }
        return true;
    }

    private boolean ready(byte[] buffer, int offset, int length) {
        if (ready || exited || !isOpen() || length < 4) {
            return false;
        }
        ready = true;
        listener.ready(getU32(buffer, offset));
        return true;
    }

    private boolean exit(byte[] buffer, int offset, int length) {
        if (exited || !isOpen() || length < 5 || getU32(buffer, offset) > 0xFF) {
            return false;
        }
        exited = true;
        listener.exit((int) getU32(buffer, offset), buffer[offset + 4] != 0);
        return true;
    }

    private boolean stopping(byte[] buffer, int offset, int length) {
        if (stopping || !isOpen() || length < 2) {
            return false;
        }
        StopAction action = StopAction.of(Byte.toUnsignedInt(buffer[offset]));
        StopCause cause = StopCause.of(Byte.toUnsignedInt(buffer[offset + 1]));
        if (action == null || cause == null) {
            return false;
        }
        stopping = true;
        listener.stopping(action, cause);
        return true;
    }

    private boolean inputTaken(byte[] buffer, int offset, int length) {
        if (!isOpen() || length < 8) {
            return false;
        }
        listener.inputTaken(getU32(buffer, offset) | getU32(buffer, offset + 4) << 32);
        return true;
    }

    private boolean log(byte[] buffer, int offset, int length) {
        if (logLines == MAX_LOG_LINES) {
            return false;
        }
        logLines++;
        listener.log(GuestText.printable(new String(buffer, offset, length, StandardCharsets.UTF_8)));
        return true;
    }
}
