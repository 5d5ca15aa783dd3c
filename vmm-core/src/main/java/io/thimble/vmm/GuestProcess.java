package io.thimble.vmm;

import io.thimble.vmm.guest.ExecConnection;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;

/**
 * A program in the guest, started by {@link MicroVm#exec}. Its streams are independent of each other: each holds at most 256 KiB that
 * were not read yet, then the program waits; a reader of one never waits for the other's.
 *
 * <p>The program and its process group are killed when the connection ends before it has: by {@link #close}, or with this process.
 * When the program has ended, its streams end behind what it had written; programs that it left behind in the guest go on, but their
 * output goes nowhere.
 *
 * <p>Every method may be called from any thread, platform or virtual. At a time one thread reads a stream, others wait.
 */
public sealed interface GuestProcess extends AutoCloseable permits ExecConnection {
    /** Returns the process id in the guest, as the guest tells it. */
    long pid();

    /**
     * Returns what the program reads. A write waits while the program has 256 KiB to read before it; it fails when the
     * program has closed its input or has ended. Closing it ends the program's input; on a terminal it types Ctrl-D.
     */
    OutputStream stdin();

    /** Returns what the program writes to its standard output; on a terminal, to both. */
    InputStream stdout();

    /** Returns what the program writes to its standard error; it is at its end from the beginning if that is merged. */
    InputStream stderr();

    /** Tells whether the program has not ended, as far as is known. */
    boolean isAlive();

    /**
     * Waits until the program has ended.
     *
     * @return 0..255: its exit status, or 128 + n if signal n ended it
     * @throws GuestException if the connection ended before ({@link GuestException.Problem#LOST})
     */
    int waitFor() throws InterruptedException, GuestException;

    /**
     * Waits until the program has ended, but not longer than {@code deadline}.
     *
     * @return whether it has
     * @throws GuestException if the connection ended before
     */
    boolean waitFor(Duration deadline) throws InterruptedException, GuestException;

    /**
     * Returns the exit status as {@link #waitFor()} does.
     *
     * @throws IllegalStateException if the program has not ended
     */
    int exitStatus();

    /** Returns the signal that ended the program; empty if none did, or it has not ended. */
    OptionalInt signal();

    /** Returns what completes when the program has ended: by its exit status, or by a {@link GuestException}. */
    CompletableFuture<Integer> onExit();

    /**
     * Sends a signal to the program's process group. Without effect when it has ended.
     *
     * @param number Linux's, 1..64
     * @throws GuestException if the connection has ended
     */
    void sendSignal(int number) throws GuestException;

    /** Ends the program in order: SIGTERM. */
    void terminate() throws GuestException;

    /** Ends the program by force: SIGKILL. */
    void kill() throws GuestException;

    /**
     * Changes the size of the program's terminal. Without effect where it has none.
     *
     * @param rows 1..65535
     * @param columns 1..65535
     */
    void resize(int rows, int columns) throws GuestException;

    /** Ends the connection; a program that runs still is killed. What was read into the streams' buffers is dropped. */
    @Override
    void close();
}
