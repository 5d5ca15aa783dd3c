package io.thimble.vmm.agent;

import java.io.IOException;
import java.io.InputStream;
import java.util.function.LongConsumer;

/**
 * The input of a command whose console is a stream. It gives nothing before {@link #open}: until the agent has set the
 * console up, the guest's terminal would echo and interpret it. It is never more than {@link #WINDOW} bytes ahead of what
 * the agent has taken. At the end it tells how many bytes there were, so that the agent can end the command's input there.
 *
 * <p>Read by one thread; {@link #open}, {@link #taken} and {@link #cancel} may be called by any, any number of times.
 */
public final class CommandInput extends InputStream {
    /**
     * The most bytes on the way: half of what a terminal of Linux holds, and what its driver takes in one interrupt
     * without letting anything else run for long.
     */
    static final int WINDOW = 2048;

    private final InputStream input;
    private final LongConsumer ended;
    private final Object lock = new Object();
    private boolean open; // guarded by lock, as the four below
    private boolean cancelled;
    private boolean over;
    private long given;
    private long taken;

    /**
     * Reads from {@code input}, which stays its owner's.
     *
     * @param ended told the number of bytes, once, when {@code input} ends or fails; on the reader's thread
     */
    public CommandInput(InputStream input, LongConsumer ended) {
        this.input = input;
        this.ended = ended;
    }

    /** Lets the input through: the command runs. */
    public void open() {
        synchronized (lock) {
            open = true;
            lock.notifyAll();
        }
    }

    /** Says that the agent has taken {@code bytes} in all; a figure that cannot be true is ignored. */
    public void taken(long bytes) {
        synchronized (lock) {
            if (bytes > taken && bytes <= given) {
                taken = bytes;
                lock.notifyAll();
            }
        }
    }

    /** Ends all waiting; from now on nothing is read, and no end is told. */
    public void cancel() {
        synchronized (lock) {
            cancelled = true;
            lock.notifyAll();
        }
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        int room = awaitRoom();
        if (room < 0) {
            return -1;
        }
        int read = -1;
        try {
            read = input.read(target, offset, Math.min(length, room));
        } finally {
            account(read);
        }
        return read;
    }

    /** Returns how many bytes may be given, at least 1; -1 if no more are to be. */
    private int awaitRoom() throws IOException {
        synchronized (lock) {
            try {
                while (!cancelled && !over && (!open || given - taken >= WINDOW)) {
                    lock.wait();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
            return cancelled || over ? -1 : (int) (WINDOW - (given - taken));
        }
    }

    private void account(int read) {
        long all;
        synchronized (lock) {
            given += Math.max(0, read);
            over |= read < 0;
            all = given;
        }
        if (read < 0) {
            ended.accept(all);
        }
    }
}
