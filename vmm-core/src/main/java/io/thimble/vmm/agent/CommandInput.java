package io.thimble.vmm.agent;

import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.CountDownLatch;
import java.util.function.LongConsumer;

/**
 * The input of a command whose console is a stream: gives nothing before {@link #open} (until the agent has set the console
 * up, the guest's terminal would echo and interpret it), and tells at the end how many bytes there were, so that the
 * agent can end the command's input there.
 *
 * <p>Read by one thread; {@link #open} and {@link #cancel} may be called by any, any number of times.
 */
public final class CommandInput extends InputStream {
    private final InputStream input;
    private final LongConsumer ended;
    private final CountDownLatch gate = new CountDownLatch(1);
    private volatile boolean cancelled;
    private boolean over;
    private long count;

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
        gate.countDown();
    }

    /** Ends a wait for {@link #open}; from now on nothing is read, and no end is told. */
    public void cancel() {
        cancelled = true;
        gate.countDown();
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        try {
            gate.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
        if (cancelled || over) {
            return -1;
        }
        int read = -1;
        try {
            read = input.read(target, offset, length);
        } finally {
            if (read < 0) {
                over = true;
                ended.accept(count);
            }
        }
        count += Math.max(0, read);
        return read;
    }
}
