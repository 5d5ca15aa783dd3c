package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.Objects;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * One output stream of a program in the guest, as an input stream here. Holds what was not read yet, at most the protocol's window;
 * it grows with what has come, not with what the guest announces. Reading gives credit back.
 *
 * <p>Thread-safe.
 */
final class StreamBuffer extends InputStream implements OutputSink {
    private static final int FIRST_CAPACITY = 4096;

    private final Credit credit;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    // All guarded by lock.
    private byte[] ring = new byte[0];
    private int first;
    private int used;
    private int consumed;
    private boolean ended;
    private boolean closed;
    private @Nullable IOException failure;

    StreamBuffer(Credit credit) {
        this.credit = credit;
    }

    @Override
    public void accept(ByteBuffer bytes) throws IOException {
        int discarded = 0;
        lock.lock();
        try {
            if (bytes.remaining() > WINDOW - used) {
                throw new GuestException(Problem.PROTOCOL, "the guest agent sends more output than it may");
            }
            if (closed) {
                discarded = bytes.remaining();
            } else {
                put(bytes);
                changed.signal();
            }
        } finally {
            lock.unlock();
        }
        giveBack(discarded);
    }

    private void put(ByteBuffer bytes) {
        int needed = used + bytes.remaining();
        if (needed > ring.length) {
            byte[] larger =
                    new byte[Math.min(WINDOW, Math.max(FIRST_CAPACITY, Integer.highestOneBit(needed - 1) << 1))];
            take(larger, 0, used, false);
            ring = larger;
            first = 0;
        }
        while (bytes.hasRemaining()) {
            int at = (first + used) % ring.length;
            int part = Math.min(bytes.remaining(), ring.length - at);
            bytes.get(ring, at, part);
            used += part;
        }
    }

    /** Copies the first {@code length} bytes out; removes them if asked. */
    private void take(byte[] target, int offset, int length, boolean remove) {
        int part = Math.min(length, ring.length - first);
        System.arraycopy(ring, first, target, offset, part);
        System.arraycopy(ring, 0, target, offset + part, length - part);
        if (remove) {
            used -= length;
            first = used == 0 ? 0 : (first + length) % ring.length;
        }
    }

    /** Credit goes back in large steps; what is held back is less than one step, so the guest is never without. */
    private void giveBack(int bytes) {
        int given = 0;
        lock.lock();
        try {
            consumed += bytes;
            if (consumed >= CREDIT_STEP && !ended) {
                given = consumed;
                consumed = 0;
            }
        } finally {
            lock.unlock();
        }
        if (given > 0) {
            credit.give(given);
        }
    }

    @Override
    public void end() {
        lock.lock();
        try {
            ended = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void fail(IOException reason) {
        lock.lock();
        try {
            if (!ended && failure == null) {
                failure = reason;
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, target.length);
        if (length == 0) {
            return 0;
        }
        int taken;
        lock.lock();
        try {
            if (!awaitBytes()) {
                return -1;
            }
            taken = Math.min(used, length);
            take(target, offset, taken, true);
        } finally {
            lock.unlock();
        }
        giveBack(taken);
        return taken;
    }

    /** Waits with the lock held; false at the end. */
    private boolean awaitBytes() throws IOException {
        while (used == 0 || closed) {
            if (closed) {
                throw new IOException("the stream is closed");
            }
            if (ended) {
                return false;
            }
            if (failure != null) {
                throw new IOException(failure.getMessage(), failure);
            }
            try {
                changed.await();
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
                throw new InterruptedIOException("interrupted while reading the output of a program in the guest");
            }
        }
        return true;
    }

    @Override
    public int available() {
        lock.lock();
        try {
            return closed ? 0 : used;
        } finally {
            lock.unlock();
        }
    }

    /** What the program still writes is dropped: it does not wait for a reader that is gone. */
    @Override
    public void close() {
        int dropped;
        lock.lock();
        try {
            closed = true;
            dropped = used;
            used = 0;
            ring = new byte[0];
            first = 0;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        giveBack(dropped);
    }
}
