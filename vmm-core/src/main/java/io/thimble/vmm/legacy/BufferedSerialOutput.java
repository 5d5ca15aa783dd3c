package io.thimble.vmm.legacy;

import io.thimble.vmm.SlowReaderPolicy;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A bounded buffer between a UART and any stream, emptied by one thread of its own, so that a slow or stuck reader
 * never stops a vCPU. What happens when the buffer is full is the {@link SlowReaderPolicy}.
 *
 * <p>The thread writes in batches: it starts at a line's end, at a half-full buffer or a millisecond after the first
 * character, and flushes when the buffer is empty. It uses, but does not close, the stream. After the stream has failed
 * everything offered is dropped and counted, whatever the policy: a guest does not hang on a closed pipe.
 *
 * <p>Every method may be called from any thread. The lock is held for nanoseconds, never during stream I/O.
 */
public final class BufferedSerialOutput implements SerialOutput {
    /** Loaded with the first message: most VMs have none. */
    private static final class Log {
        static final Logger LOG = LoggerFactory.getLogger("io.thimble.vmm.console");
    }

    /** Characters buffered unless asked for otherwise. */
    public static final int DEFAULT_CAPACITY = 64 * 1024;

    private static final int BATCH = 8 * 1024;
    private static final long GATHER_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

    private final OutputStream stream;
    private final SlowReaderPolicy policy;
    private final Thread pump;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Condition room = lock.newCondition();
    private final ByteRing buffer;
    private Runnable onRoom = () -> {};
    private boolean refused;
    private boolean urgent;
    private boolean closing;
    private long dropped;
    private @Nullable IOException failure;

    private BufferedSerialOutput(OutputStream stream, int capacity, SlowReaderPolicy policy, ThreadFactory threads) {
        this.stream = stream;
        this.policy = policy;
        this.buffer = new ByteRing(capacity);
        this.pump = threads.newThread(this::pump);
    }

    /**
     * Makes the buffer and starts its thread.
     *
     * @param capacity in characters, at least 1; {@link #DEFAULT_CAPACITY} suits a console
     * @param threads makes and names the one thread, a platform daemon thread
     */
    public static BufferedSerialOutput start(
            OutputStream stream, int capacity, SlowReaderPolicy policy, ThreadFactory threads) {
        BufferedSerialOutput output = new BufferedSerialOutput(stream, capacity, policy, threads);
        output.pump.start();
        return output;
    }

    @Override
    public boolean offer(byte value) {
        lock.lock();
        try {
            if (closing || failure != null) {
                dropped++;
                return true;
            }
            if (buffer.isFull()) {
                switch (policy) {
                    case HOLD_BACK -> {
                        refused = true;
                        return false;
                    }
                    case DROP_NEWEST -> {
                        dropped++;
                        return true;
                    }
                    case DROP_OLDEST -> {
                        dropped++;
                        buffer.take();
                    }
                }
            }
            boolean first = buffer.isEmpty();
            buffer.put(value);
            boolean hurry = !urgent && (value == '\n' || buffer.size() > buffer.capacity() / 2);
            urgent |= hurry;
            if (first || hurry) {
                changed.signalAll();
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int offer(byte[] bytes, int offset, int length) {
        lock.lock();
        try {
            if (closing || failure != null) {
                dropped += length;
                return length;
            }
            boolean first = buffer.isEmpty();
            int taken = buffer.put(bytes, offset, length);
            int rest = length - taken;
            if (rest > 0) {
                switch (policy) {
                    case HOLD_BACK -> refused = true;
                    case DROP_NEWEST -> dropped += rest;
                    case DROP_OLDEST -> replaceOldest(bytes, offset + taken, rest);
                }
            }
            if (first || !urgent) {
                urgent = true;
                changed.signalAll();
            }
            return policy == SlowReaderPolicy.HOLD_BACK ? taken : length;
        } finally {
            lock.unlock();
        }
    }

    /** Puts bytes into the full buffer in the place of the oldest. */
    private void replaceOldest(byte[] bytes, int offset, int length) {
        int kept = Math.min(length, buffer.capacity());
        buffer.discard(kept);
        int _ = buffer.put(bytes, offset + length - kept, kept);
        dropped += length;
    }

    @Override
    public boolean awaitRoom(Duration deadline) {
        lock.lock();
        try {
            long left = deadline.toNanos();
            while (buffer.isFull() && !closing && failure == null && left > 0) {
                left = room.awaitNanos(left);
            }
            return !buffer.isFull();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void onRoom(Runnable callback) {
        lock.lock();
        try {
            Runnable others = onRoom;
            onRoom = () -> {
                others.run();
                callback.run();
            };
        } finally {
            lock.unlock();
        }
    }

    /** Returns how many characters were dropped: by the policy, after the stream failed or after {@link #close}. */
    public long dropped() {
        lock.lock();
        try {
            return dropped;
        } finally {
            lock.unlock();
        }
    }

    /** Returns why the stream takes nothing any more, or null if it does. */
    public @Nullable IOException failure() {
        lock.lock();
        try {
            return failure;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Takes nothing more, writes out what is buffered, flushes and ends the thread. A second call waits for the same.
     * After the deadline the rest is given up: the thread is interrupted and ends when the stream lets it.
     *
     * @param deadline how long to wait; zero gives up at once
     * @return whether everything was written and the thread has ended
     */
    public boolean close(Duration deadline) {
        lock.lock();
        try {
            closing = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        boolean ended = false;
        try {
            ended = pump.join(deadline);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        lock.lock();
        try {
            if (!ended) {
                dropped += buffer.size();
                buffer.clear();
                pump.interrupt();
            }
            return ended && failure == null;
        } finally {
            lock.unlock();
        }
    }

    private void pump() {
        byte[] batch = new byte[Math.min(BATCH, buffer.capacity())];
        try {
            int length;
            while ((length = awaitBatch(batch)) > 0) {
                stream.write(batch, 0, length);
                if (drained()) {
                    stream.flush();
                }
            }
            stream.flush();
        } catch (IOException e) {
            fail(e);
        } catch (RuntimeException | Error e) {
            fail(new IOException("the console's stream threw " + e, e));
        }
    }

    /** Waits for characters and takes them; returns 0 once closing and empty. */
    private int awaitBatch(byte[] batch) {
        Runnable callback = null;
        int length;
        lock.lock();
        try {
            while (buffer.isEmpty() && !closing) {
                changed.awaitUninterruptibly();
            }
            gather();
            length = buffer.take(batch);
            room.signalAll();
            urgent = false;
            if (refused && length > 0) {
                refused = false;
                callback = onRoom;
            }
        } finally {
            lock.unlock();
        }
        if (callback != null) {
            callback.run();
        }
        return length;
    }

    /** Lets a line grow for a moment, so that it costs one write and not one a character. */
    private void gather() {
        long left = GATHER_NANOS;
        try {
            while (!urgent && !closing && left > 0) {
                left = changed.awaitNanos(left);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private boolean drained() {
        lock.lock();
        try {
            return buffer.isEmpty();
        } finally {
            lock.unlock();
        }
    }

    private void fail(IOException e) {
        Log.LOG.error(
                "{}: what the guest writes is lost from now on",
                Thread.currentThread().getName(),
                e);
        Runnable callback = null;
        lock.lock();
        try {
            failure = e;
            dropped += buffer.size();
            buffer.clear();
            room.signalAll();
            if (refused) {
                refused = false;
                callback = onRoom;
            }
        } finally {
            lock.unlock();
        }
        if (callback != null) {
            callback.run();
        }
    }
}
