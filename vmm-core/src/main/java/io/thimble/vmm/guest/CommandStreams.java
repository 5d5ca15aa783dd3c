package io.thimble.vmm.guest;

import io.thimble.vmm.GuestException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ThreadFactory;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The streams of the command that a guest is started for. Its agent connects to the host and carries them apart from each other and
 * from the console. A guest without vsock cannot: its agent leaves the command on the console, and then what would be the console's
 * goes to standard output, and standard input to the console.
 *
 * <p>Which of both it is turns out while the guest boots, in this order: the agent has connected; the agent says that it has not; the
 * console has said more than can be kept until then; the VM has ended. The first one counts. Before that console output is kept.
 *
 * <p>Thread-safe.
 */
public final class CommandStreams {
    /** A class of its own, so that a start does not wait for the logger's set-up. */
    private static final class Log {
        static final Logger LOG = LoggerFactory.getLogger(CommandStreams.class);
    }

    private static final int KEPT = 64 << 10;
    private static final int BLOCK = 64 << 10;

    /** Waits for the agent's connection. */
    @FunctionalInterface
    public interface Acceptor {
        /** Returns it. */
        ByteChannel accept() throws IOException;
    }

    private enum Place {
        UNKNOWN,
        CONNECTION,
        CONSOLE
    }

    private final @Nullable InputStream stdin;
    private final @Nullable OutputStream stdout;
    private final @Nullable OutputStream stderr;
    private final ConsoleOutput console;
    private final Object lock = new Object();
    // Guarded by lock.
    private Place place = Place.UNKNOWN;
    private @Nullable ExecConnection process;
    private int rows;
    private int columns;
    private final List<Thread> pumps = new ArrayList<>();

    /** For streams that stay their owners'; {@code console} gets the console's output when it is not the command's. */
    public CommandStreams(
            @Nullable InputStream stdin,
            @Nullable OutputStream stdout,
            @Nullable OutputStream stderr,
            @Nullable OutputStream console) {
        this.stdin = stdin;
        this.stdout = stdout;
        this.stderr = stderr;
        this.console = new ConsoleOutput(console);
    }

    /** Returns where the console's output goes. */
    public OutputStream console() {
        return console;
    }

    /** Returns what the console reads: nothing, once the command is on a connection. */
    public InputStream consoleInput() {
        return new ConsoleInput();
    }

    private boolean decide(Place newPlace) {
        synchronized (lock) {
            if (place == Place.UNKNOWN) {
                place = newPlace;
                lock.notifyAll();
            }
            return place == newPlace;
        }
    }

    private Place place() {
        synchronized (lock) {
            return place;
        }
    }

    /** Says that the command is on the console. */
    public void onConsole() {
        decide(Place.CONSOLE);
        console.release();
    }

    /**
     * Waits for the agent on a thread of its own, which then moves the command's output.
     *
     * @param name of the VM
     */
    public void start(String name, Acceptor acceptor) {
        pump(name + "-stdout", () -> serve(name, acceptor));
    }

    private void pump(String name, Runnable work) {
        Thread thread = Thread.ofPlatform()
                .name("thimble-" + name)
                .daemon(true)
                .stackSize(256 << 10)
                .unstarted(work);
        synchronized (lock) {
            pumps.add(thread);
        }
        thread.start();
    }

    private void serve(String name, Acceptor acceptor) {
        try (ByteChannel channel = acceptor.accept()) {
            if (!decide(Place.CONNECTION)) {
                return;
            }
            console.release();
            try (ExecConnection started = ExecConnection.attach(channel, threads(name))) {
                attached(started);
                if (stdin == null) {
                    started.stdin().close();
                } else {
                    Thread.ofPlatform()
                            .name("thimble-" + name + "-stdin")
                            .daemon(true)
                            .start(() -> feed(started, stdin));
                }
                Thread error = threads(name + "-stderr").newThread(() -> drain(started.stderr(), stderr));
                error.start();
                drain(started.stdout(), stdout);
                error.join();
                started.awaitEnd(Duration.ofDays(1));
            }
        } catch (IOException e) {
            // A command that cannot be run, or a VM that has ended: its report says so, and here stands the reason.
            tell(e);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private static ThreadFactory threads(String name) {
        return Thread.ofPlatform()
                .name("thimble-" + name + "-exec")
                .daemon(true)
                .stackSize(256 << 10)
                .factory();
    }

    private void tell(IOException e) {
        if (e instanceof GuestException guest && place() == Place.CONNECTION) {
            switch (guest.problem()) {
                case NOT_FOUND, CANNOT_RUN, RESOURCES -> {
                    OutputStream target = stderr != null ? stderr : stdout;
                    if (target != null) {
                        complain(target, guest);
                    }
                }
                default -> Log.LOG.debug("the command's streams end", e);
            }
        }
    }

    private static void complain(OutputStream target, IOException e) {
        try {
            target.write(("thimble: " + e.getMessage() + "\n").getBytes(StandardCharsets.UTF_8));
            target.flush();
        } catch (IOException _) {
            // Its reader is gone.
        }
    }

    private void attached(ExecConnection started) throws IOException {
        int knownRows;
        int knownColumns;
        synchronized (lock) {
            process = started;
            knownRows = rows;
            knownColumns = columns;
        }
        if (knownRows > 0) {
            started.resize(knownRows, knownColumns);
        }
    }

    private static void feed(ExecConnection process, InputStream stdin) {
        byte[] block = new byte[BLOCK];
        try (OutputStream target = process.stdin()) {
            for (int n = stdin.read(block); n >= 0; n = stdin.read(block)) {
                target.write(block, 0, n);
            }
        } catch (IOException _) {
            // Whichever end is gone, no more input passes.
        }
    }

    /** Moves one stream; one that nobody takes, or takes any more, is dropped so that the command does not wait for it. */
    private static void drain(InputStream source, @Nullable OutputStream target) {
        byte[] block = new byte[BLOCK];
        try (source) {
            if (target == null) {
                return;
            }
            for (int n = source.read(block); n >= 0; n = source.read(block)) {
                target.write(block, 0, n);
                target.flush();
            }
        } catch (IOException _) {
            // Either end is gone.
        }
    }

    /** Tells the command's terminal how large it is; false if that is the console. */
    public boolean resize(int newRows, int newColumns) {
        ExecConnection started;
        synchronized (lock) {
            if (place == Place.CONSOLE) {
                return false;
            }
            rows = newRows;
            columns = newColumns;
            started = process;
        }
        if (started != null) {
            try {
                started.resize(newRows, newColumns);
            } catch (IOException _) {
                // It has ended.
            }
        }
        return true;
    }

    /**
     * Waits until all that the command has written has been taken; after the VM has ended.
     *
     * @param deadline how long the readers may take
     */
    public void end(Duration deadline) {
        onConsole();
        List<Thread> all;
        synchronized (lock) {
            all = List.copyOf(pumps);
        }
        long end = System.nanoTime() + deadline.toNanos();
        boolean interrupted = false;
        for (Thread thread : all) {
            try {
                long rest = Math.max(1, end - System.nanoTime());
                thread.join(Duration.ofNanos(rest));
            } catch (InterruptedException _) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** The console's output: kept until it is known whose it is. */
    private final class ConsoleOutput extends OutputStream {
        private final @Nullable OutputStream own;
        private byte[] kept = new byte[1024]; // guarded by this, as used
        private int used;

        ConsoleOutput(@Nullable OutputStream own) {
            this.own = own;
        }

        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
            if (place() == Place.UNKNOWN && length <= KEPT - used) {
                if (length > kept.length - used) {
                    kept = Arrays.copyOf(kept, Math.min(KEPT, Math.max(2 * kept.length, used + length)));
                }
                System.arraycopy(bytes, offset, kept, used, length);
                used += length;
                return;
            }
            decide(Place.CONSOLE); // without effect if it is known already
            releaseKept();
            OutputStream target = target();
            if (target != null) {
                target.write(bytes, offset, length);
            }
        }

        private @Nullable OutputStream target() {
            return place() == Place.CONSOLE ? stdout : own;
        }

        private void releaseKept() throws IOException {
            OutputStream target = target();
            if (used > 0 && target != null) {
                target.write(kept, 0, used);
                target.flush();
            }
            used = 0;
        }

        synchronized void release() {
            try {
                releaseKept();
            } catch (IOException e) {
                Log.LOG.debug("nobody takes the console's output", e);
            }
        }

        @Override
        public synchronized void flush() throws IOException {
            OutputStream target = place() == Place.UNKNOWN ? null : target();
            if (target != null) {
                target.flush();
            }
        }
    }

    /** Standard input for the console, where the command is on it. */
    private final class ConsoleInput extends InputStream {
        @Override
        public int read() throws IOException {
            InputStream source = source();
            return source == null ? -1 : source.read();
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            InputStream source = source();
            return source == null ? -1 : source.read(target, offset, length);
        }

        private @Nullable InputStream source() throws IOException {
            synchronized (lock) {
                try {
                    while (place == Place.UNKNOWN) {
                        lock.wait();
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException("interrupted", e);
                }
                return place == Place.CONSOLE ? stdin : null;
            }
        }
    }
}
