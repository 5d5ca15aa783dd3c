package io.thimble.vmm.legacy;

import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadFactory;
import org.jspecify.annotations.Nullable;

/**
 * Feeds a UART, or another console, from a stream, on one thread of its own, as fast as the guest reads and no faster.
 *
 * <p>A {@link InputStream#read} cannot be interrupted, {@code System.in}'s least of all. So {@link #stop} makes sure
 * that nothing more reaches the guest and returns at once, while the thread - a daemon - stays in the read until the
 * stream gives something (which is then lost), ends, or is closed by its owner. The pump never closes the stream.
 */
public final class SerialInputPump {
    private static final int CHUNK = 4096;

    private final InputStream stream;
    private final InputTarget target;
    private final Runnable atEnd;
    private final Thread thread;
    private final Semaphore room = new Semaphore(0);
    private volatile boolean stopped;
    private volatile @Nullable IOException failure;

    private SerialInputPump(InputStream stream, InputTarget target, Runnable atEnd, ThreadFactory threads) {
        this.stream = stream;
        this.target = target;
        this.atEnd = atEnd;
        this.thread = threads.newThread(this::pump);
    }

    /**
     * Starts feeding. The pump takes {@link InputTarget#onInputRoom} for itself.
     *
     * @param threads makes and names the one thread, a platform daemon thread
     */
    public static SerialInputPump start(InputStream stream, InputTarget target, ThreadFactory threads) {
        return start(stream, target, () -> {}, threads);
    }

    /**
     * Starts feeding, likewise.
     *
     * @param atEnd run once everything was fed and the stream has ended or failed, on the pump's thread
     */
    public static SerialInputPump start(InputStream stream, InputTarget target, Runnable atEnd, ThreadFactory threads) {
        SerialInputPump pump = new SerialInputPump(stream, target, atEnd, threads);
        target.onInputRoom(pump.room::release);
        pump.thread.start();
        return pump;
    }

    /** Feeds nothing more. Does not wait for the thread. Callable from any thread, more than once. */
    public void stop() {
        stopped = true;
        room.release();
    }

    /** Returns the pump's thread, to see whether it has ended. */
    public Thread thread() {
        return thread;
    }

    /** Returns why the stream could not be read, or null if it could. The end of the stream is no failure. */
    public @Nullable IOException failure() {
        return failure;
    }

    private void pump() {
        byte[] chunk = new byte[CHUNK];
        try {
            int length;
            while (!stopped && (length = stream.read(chunk)) >= 0) {
                int sent = 0;
                while (!stopped && sent < length) {
                    sent += target.receive(chunk, sent, length - sent);
                    if (sent < length) {
                        room.acquireUninterruptibly();
                    }
                }
            }
        } catch (IOException e) {
            failure = e;
        } catch (RuntimeException | Error e) {
            failure = new IOException("the console's input stream threw " + e, e);
        }
        if (!stopped) {
            atEnd.run();
        }
    }
}
