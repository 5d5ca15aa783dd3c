package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import io.thimble.vmm.GuestProcess;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A program in the guest over its connection. One thread reads the connection and never waits for anything else: what it reads has
 * room, because the guest sends no more than it has credit for. Whoever writes waits for credit first.
 */
public final class ExecConnection implements GuestProcess {
    private static final int SIGTERM = 15;
    private static final int SIGKILL = 9;
    private static final int SIGNALLED = 128;
    private static final int MAX_SIGNAL = 64;

    private final ByteChannel channel;
    private final WireReader reader;
    private final WireWriter writer;
    private final OutputSink stdout;
    private final OutputSink stderr;
    private final boolean attached;
    private final ProgramInput stdin;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    // Guarded by lock, all but pid, which is set before the reading thread starts.
    private long pid;
    private boolean exited;
    private boolean signalled;
    private int value;
    private boolean over; // the connection has ended, in order or not
    private @Nullable GuestException failure;
    private @Nullable CompletableFuture<Integer> onExit;

    // Of the reading thread.
    private boolean stdoutEnded;
    private boolean stderrEnded;

    private ExecConnection(
            ByteChannel channel,
            Function<OutputSink.Credit, OutputSink> newStdout,
            Function<OutputSink.Credit, OutputSink> newStderr,
            boolean attached) {
        this.channel = channel;
        this.attached = attached;
        reader = new WireReader(channel);
        writer = new WireWriter(channel);
        stdin = new ProgramInput(writer);
        stdout = newStdout.apply(bytes -> giveCredit(1, bytes));
        stderr = newStderr.apply(bytes -> giveCredit(2, bytes));
    }

    /**
     * Starts a program; its streams are there to be read.
     *
     * @param channel just connected; closed with the process, also when that cannot be started
     * @param threads makes the thread that reads the connection
     */
    public static ExecConnection start(ByteChannel channel, ExecRequest request, ThreadFactory threads)
            throws IOException {
        return begin(new ExecConnection(channel, StreamBuffer::new, StreamBuffer::new, false), request, threads);
    }

    /** Likewise; both streams are kept, up to {@code most} bytes each. */
    static ExecConnection startCollecting(ByteChannel channel, ExecRequest request, ThreadFactory threads, int most)
            throws IOException {
        Function<OutputSink.Credit, OutputSink> collector = credit -> new Collector(credit, most);
        return begin(new ExecConnection(channel, collector, collector, false), request, threads);
    }

    /**
     * Takes over a program that the guest has started by itself, on a connection that it has made. The guest goes on when the
     * process is closed, not before: so nothing is lost that was not read yet.
     */
    public static ExecConnection attach(ByteChannel channel, ThreadFactory threads) throws IOException {
        return begin(new ExecConnection(channel, StreamBuffer::new, StreamBuffer::new, true), null, threads);
    }

    private static ExecConnection begin(ExecConnection process, @Nullable ExecRequest request, ThreadFactory threads)
            throws IOException {
        try {
            process.awaitStart(request);
            threads.newThread(process::readAll).start();
            return process;
        } catch (IOException | RuntimeException | Error e) {
            process.closeChannel();
            throw e;
        }
    }

    private void awaitStart(@Nullable ExecRequest request) throws IOException {
        IOException unsent = null;
        if (request != null) {
            try {
                request.send(writer);
            } catch (InterruptedIOException e) {
                throw e;
            } catch (IOException e) {
                unsent = e; // the guest may have said why it does not listen
            }
        }
        do {
            try {
                if (!reader.next()) {
                    throw new EOFException("the guest agent ended the connection");
                }
            } catch (EOFException e) {
                throw lost(unsent == null ? e : unsent);
            }
            if (reader.type() == ERROR) {
                throw reader.error();
            }
        } while (isUnknown(reader.type()));
        if (reader.type() != STARTED || reader.payload().remaining() < 4) {
            throw reader.unexpected();
        }
        pid = Integer.toUnsignedLong(reader.payload().getInt());
    }

    private static GuestException lost(IOException e) {
        return e instanceof GuestException known
                ? known
                : new GuestException(Problem.LOST, "the connection to the program is lost: " + e.getMessage(), e);
    }

    private static boolean isUnknown(int type) {
        return type != STATUS && (type < ERROR || type > END);
    }

    private void readAll() {
        try {
            while (reader.next() && take()) {}
            if (!stdoutEnded || !stderrEnded || isAlive()) {
                throw new EOFException("the guest agent ended it");
            }
            finish(null);
        } catch (IOException e) {
            finish(lost(e));
        } catch (RuntimeException | Error e) {
            finish(new GuestException(Problem.LOST, "a mistake in Thimble: " + e, e));
        }
    }

    /** Takes a frame; false for the last one. */
    private boolean take() throws IOException {
        ByteBuffer payload = reader.payload();
        switch (reader.type()) {
            case STDOUT -> {
                require(!stdoutEnded);
                stdout.accept(payload);
            }
            case STDERR -> {
                require(!stderrEnded);
                stderr.accept(payload);
            }
            case STDOUT_END -> {
                require(!stdoutEnded);
                stdoutEnded = true;
                stdout.end();
            }
            case STDERR_END -> {
                require(!stderrEnded);
                stderrEnded = true;
                stderr.end();
            }
            case EXIT -> exit(payload);
            case STDIN_CREDIT -> {
                require(payload.remaining() >= 4);
                require(stdin.credit(Integer.toUnsignedLong(payload.getInt())));
            }
            case STDIN_CLOSED -> stdin.closed();
            case END -> {
                require(stdoutEnded && stderrEnded && !isAlive());
                return false;
            }
            case ERROR -> throw reader.error();
            default -> require(isUnknown(reader.type()));
        }
        return true;
    }

    private void require(boolean rule) throws GuestException {
        if (!rule) {
            throw reader.unexpected();
        }
    }

    private void exit(ByteBuffer payload) throws GuestException {
        require(payload.remaining() >= 2);
        int kind = payload.get();
        int status = Byte.toUnsignedInt(payload.get());
        require(kind == 0 || (kind == 1 && status >= 1 && status <= MAX_SIGNAL));
        CompletableFuture<Integer> waiting;
        lock.lock();
        try {
            require(!exited);
            exited = true;
            signalled = kind == 1;
            value = status;
            waiting = onExit;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        stdin.closed();
        if (waiting != null) {
            waiting.completeAsync(this::exitStatus);
        }
    }

    /** The last act of the reading thread. Who learns of the end finds everything done. */
    private void finish(@Nullable GuestException reason) {
        if (!attached || reason != null) {
            closeChannel();
        }
        stdin.closed();
        if (reason != null) {
            stdout.fail(reason);
            stderr.fail(reason);
        }
        CompletableFuture<Integer> waiting;
        boolean known;
        lock.lock();
        try {
            over = true;
            failure = reason;
            waiting = onExit;
            known = exited;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        if (reason != null && waiting != null && !known) {
            waiting.completeExceptionally(reason);
        }
    }

    private void closeChannel() {
        try {
            channel.close();
        } catch (IOException _) {
            // It is gone, which is what was wanted.
        }
    }

    /** Not lost by an interrupt that has come before: the program would wait for ever. */
    private void giveCredit(int stream, int bytes) {
        boolean interrupted = Thread.interrupted();
        try {
            writer.send(
                    CREDIT,
                    ByteBuffer.allocate(5)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .put((byte) stream)
                            .putInt(bytes)
                            .flip());
        } catch (IOException _) {
            closeChannel(); // the reading thread learns it as well, and says so to those who wait
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    @Override
    public long pid() {
        return pid;
    }

    @Override
    public OutputStream stdin() {
        return stdin;
    }

    @Override
    public InputStream stdout() {
        return stream(stdout);
    }

    @Override
    public InputStream stderr() {
        return stream(stderr);
    }

    private static InputStream stream(OutputSink sink) {
        if (sink instanceof StreamBuffer buffer) {
            return buffer;
        }
        throw new IllegalStateException("the streams of this program are collected");
    }

    /** Returns what a collecting process has written: its standard output, its standard error. */
    byte[][] collected() {
        if (stdout instanceof Collector out && stderr instanceof Collector error) {
            return new byte[][] {out.bytes(), error.bytes()};
        }
        throw new IllegalStateException("the streams of this program are not collected");
    }

    @Override
    public boolean isAlive() {
        lock.lock();
        try {
            return !exited;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int waitFor() throws InterruptedException, GuestException {
        await(Long.MAX_VALUE, false);
        return exitStatus();
    }

    @Override
    public boolean waitFor(Duration deadline) throws InterruptedException, GuestException {
        return await(TimeUnit.NANOSECONDS.convert(deadline), false);
    }

    /**
     * Waits until the program has ended and all that it has written has come.
     *
     * @return false at the deadline
     */
    public boolean awaitEnd(Duration deadline) throws InterruptedException, GuestException {
        return await(TimeUnit.NANOSECONDS.convert(deadline), true);
    }

    private boolean await(long nanos, boolean output) throws InterruptedException, GuestException {
        long rest = nanos;
        lock.lockInterruptibly();
        try {
            while (!over && (output || !exited)) {
                if (rest <= 0) {
                    return false;
                }
                rest = changed.awaitNanos(rest);
            }
            if (failure != null && (output || !exited)) {
                throw new GuestException(failure.problem(), String.valueOf(failure.getMessage()), failure);
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int exitStatus() {
        lock.lock();
        try {
            if (!exited) {
                throw new IllegalStateException("the program has not ended");
            }
            return signalled ? SIGNALLED + value : value;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public OptionalInt signal() {
        lock.lock();
        try {
            return exited && signalled ? OptionalInt.of(value) : OptionalInt.empty();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public CompletableFuture<Integer> onExit() {
        lock.lock();
        try {
            if (onExit == null) {
                onExit = new CompletableFuture<>();
                if (exited) {
                    onExit.complete(exitStatus());
                } else if (failure != null) {
                    onExit.completeExceptionally(failure);
                }
            }
            return onExit.copy();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void sendSignal(int number) throws GuestException {
        if (number < 1 || number > MAX_SIGNAL) {
            throw new IllegalArgumentException("signal " + number + " is not in 1.." + MAX_SIGNAL);
        }
        control(SIGNAL, ByteBuffer.wrap(new byte[] {(byte) number}));
    }

    @Override
    public void terminate() throws GuestException {
        sendSignal(SIGTERM);
    }

    @Override
    public void kill() throws GuestException {
        sendSignal(SIGKILL);
    }

    @Override
    public void resize(int rows, int columns) throws GuestException {
        if (rows < 1 || rows > 0xFFFF || columns < 1 || columns > 0xFFFF) {
            throw new IllegalArgumentException(
                    "a terminal of " + rows + " rows and " + columns + " columns is out of range");
        }
        control(WINDOW_SIZE, ExecRequest.windowSize(rows, columns));
    }

    private void control(int type, ByteBuffer payload) throws GuestException {
        if (!isAlive()) {
            return;
        }
        try {
            writer.send(type, payload);
        } catch (IOException e) {
            if (isAlive()) {
                throw lost(e);
            }
        }
    }

    @Override
    public void close() {
        closeChannel();
    }

    @Override
    public String toString() {
        return "program " + pid + " in the guest" + (isAlive() ? "" : " (ended)");
    }
}
