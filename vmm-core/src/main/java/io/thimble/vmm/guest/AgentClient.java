package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import io.thimble.vmm.CopyOptions;
import io.thimble.vmm.CopyResult;
import io.thimble.vmm.ExecResult;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import io.thimble.vmm.GuestProcess;
import io.thimble.vmm.GuestStatus;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.ThreadFactory;
import org.jspecify.annotations.Nullable;

/** What the host asks the guest's agent for; each on a connection of its own. Thread-safe. */
public final class AgentClient {
    private static final Duration FOR_EVER = Duration.ofNanos(Long.MAX_VALUE);
    private static final ThreadFactory THREADS =
            Thread.ofVirtual().name("thimble-exec-", 0).factory();

    private final AgentConnector connector;

    /** Connects by {@code connector}. */
    public AgentClient(AgentConnector connector) {
        this.connector = connector;
    }

    private static GuestException known(String what, IOException e) {
        return e instanceof GuestException guest
                ? guest
                : new GuestException(Problem.LOST, what + ": " + e.getMessage(), e);
    }

    private ByteChannel connect() throws GuestException {
        try {
            return connector.connect();
        } catch (GuestException e) {
            throw e;
        } catch (IOException e) {
            throw new GuestException(
                    Problem.NO_AGENT,
                    "the guest has no agent that takes connections, or not yet: " + e.getMessage(),
                    e);
        }
    }

    /** Starts a program. */
    public GuestProcess exec(ExecRequest request) throws GuestException {
        try {
            return ExecConnection.start(connect(), request, THREADS);
        } catch (IOException e) {
            throw known(request.command().getFirst(), e);
        }
    }

    /** Runs a program and keeps what it writes. */
    public ExecResult run(ExecRequest request, byte[] input, int outputLimit, @Nullable Duration timeout)
            throws InterruptedException, GuestException {
        try (ExecConnection process = ExecConnection.startCollecting(connect(), request, THREADS, outputLimit)) {
            Thread feeder = THREADS.newThread(() -> feed(process, input));
            feeder.start();
            if (!process.awaitEnd(timeout == null ? FOR_EVER : timeout)) {
                throw new GuestException(
                        Problem.TIMEOUT,
                        request.command().getFirst() + " ran longer than " + timeout + " and is killed");
            }
            byte[][] output = process.collected();
            return new ExecResult(process.exitStatus(), process.signal(), output[0], output[1]);
        } catch (IOException e) {
            throw known(request.command().getFirst(), e);
        }
    }

    private static void feed(ExecConnection process, byte[] input) {
        try (var stdin = process.stdin()) {
            stdin.write(input);
        } catch (IOException _) {
            // It does not want all of it, or is gone: whoever waits for it learns that.
        }
    }

    /** See {@link io.thimble.vmm.MicroVm#copyIn(Path, String, CopyOptions)}. */
    public CopyResult copyIn(Path source, String target, CopyOptions options) throws IOException {
        try (ByteChannel channel = connect()) {
            return new CopyIn(channel, options).copy(source, target);
        } catch (FileSystemException e) {
            throw e; // of the host
        } catch (IOException e) {
            throw known("copy to " + target, e);
        }
    }

    /** See {@link io.thimble.vmm.MicroVm#copyOut(String, Path, CopyOptions)}. */
    public CopyResult copyOut(String source, Path target, CopyOptions options) throws IOException {
        try (ByteChannel channel = connect()) {
            return new CopyOut(channel, options).copy(source, target);
        } catch (FileSystemException e) {
            throw e; // of the host
        } catch (IOException e) {
            throw known("copy of " + source, e);
        }
    }

    /** See {@link io.thimble.vmm.MicroVm#guestStatus}. */
    public GuestStatus status() throws GuestException {
        try (ByteChannel channel = connect()) {
            new WireWriter(channel).open(GET_STATUS);
            WireReader reader = new WireReader(channel);
            if (!reader.next()) {
                throw new GuestException(Problem.LOST, "the guest agent gives no status");
            }
            if (reader.type() == ERROR) {
                throw reader.error();
            }
            ByteBuffer at = reader.payload();
            if (reader.type() != STATUS || at.remaining() < 40) {
                throw reader.unexpected();
            }
            return new GuestStatus(
                    bytes(at.getLong()),
                    bytes(at.getLong()),
                    bytes(at.getLong()),
                    Duration.of(bytes(at.getLong()), ChronoUnit.MICROS),
                    Math.max(0, at.getInt()),
                    Integer.toUnsignedLong(at.getInt()) / 100.0);
        } catch (IOException e) {
            throw known("status of the guest", e);
        }
    }

    /** A guest that says what cannot be is not believed, but not a reason to fail either. */
    private static long bytes(long told) {
        return told < 0 ? Long.MAX_VALUE : told;
    }
}
