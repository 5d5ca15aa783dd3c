package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.util.Objects;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** The standard input of a program in the guest: sends what the guest has room for, and waits for more. Thread-safe. */
final class ProgramInput extends OutputStream {
    private final WireWriter writer;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    // Guarded by lock.
    private int credit = WINDOW;
    private boolean closed; // by the program
    private boolean ended; // by us

    ProgramInput(WireWriter writer) {
        this.writer = writer;
    }

    /** Takes credit; false if the guest gives more than there can be. */
    boolean credit(long bytes) {
        lock.lock();
        try {
            if (bytes > WINDOW - credit) {
                return false;
            }
            credit += (int) bytes;
            changed.signalAll();
            return true;
        } finally {
            lock.unlock();
        }
    }

    /** Learns that nobody reads any more. */
    void closed() {
        lock.lock();
        try {
            closed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        for (int done = 0; done < length; ) {
            int part = takeCredit(Math.min(length - done, MAX_PAYLOAD), done);
            writer.send(STDIN, bytes, offset + done, part);
            done += part;
        }
    }

    private int takeCredit(int wanted, int done) throws IOException {
        lock.lock();
        try {
            while (!closed && !ended && credit == 0) {
                changed.await();
            }
            if (closed || ended) {
                throw new IOException(ended ? "the stream is closed" : "the program in the guest reads no more");
            }
            int part = Math.min(wanted, credit);
            credit -= part;
            return part;
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
            InterruptedIOException e =
                    new InterruptedIOException("interrupted while a program in the guest does not read");
            e.bytesTransferred = done;
            throw e;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() throws IOException {
        lock.lock();
        try {
            if (ended) {
                return;
            }
            ended = true;
            changed.signalAll();
            if (closed) {
                return;
            }
        } finally {
            lock.unlock();
        }
        try {
            writer.send(STDIN_END);
        } catch (IOException e) {
            if (!isClosed()) {
                throw e;
            }
        }
    }

    private boolean isClosed() {
        lock.lock();
        try {
            return closed;
        } finally {
            lock.unlock();
        }
    }
}
