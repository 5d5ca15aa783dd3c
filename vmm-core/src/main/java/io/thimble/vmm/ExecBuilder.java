package io.thimble.vmm;

import io.thimble.vmm.guest.AgentClient;
import io.thimble.vmm.guest.ExecRequest;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Describes a program that is to run in the guest; begun by {@link MicroVm#program}. Not thread-safe; may be used several times.
 *
 * {@snippet :
 * ExecResult result = vm.program("sort").environment("LC_ALL", "C").user("nobody").input(bytes).run();
 * }
 */
public final class ExecBuilder {
    /** The most bytes of each stream that {@link #run} keeps unless told otherwise: 16 MiB. */
    public static final int DEFAULT_OUTPUT_LIMIT = 16 << 20;

    private final AgentClient client;
    private final List<String> command;
    private final Map<String, String> environment = new LinkedHashMap<>();
    private @Nullable String directory;
    private @Nullable String user;
    private boolean terminal;
    private int rows;
    private int columns;
    private boolean merged;
    private byte[] input = {};
    private int outputLimit = DEFAULT_OUTPUT_LIMIT;
    private @Nullable Duration timeout;

    ExecBuilder(AgentClient client, List<String> command) {
        this.client = client;
        this.command = List.copyOf(command);
    }

    /** Adds a variable to its environment, which else is PATH, HOME, USER, LOGNAME and SHELL, and TERM on a terminal. */
    public ExecBuilder environment(String variable, String value) {
        environment.put(variable, value);
        return this;
    }

    /** Sets the directory in which it starts; by default the root directory. */
    public ExecBuilder directory(String value) {
        directory = value;
        return this;
    }

    /**
     * Sets as whom it runs; by default as root.
     *
     * @param value {@code USER} or {@code USER:GROUP}, each a name in the guest or a number
     */
    public ExecBuilder user(String value) {
        user = value;
        return this;
    }

    /**
     * Gives it a terminal of its own instead of pipes.
     *
     * @param terminalRows 1..65535, 0 if unknown
     * @param terminalColumns 1..65535, 0 if unknown
     */
    public ExecBuilder terminal(int terminalRows, int terminalColumns) {
        terminal = true;
        rows = terminalRows;
        columns = terminalColumns;
        return this;
    }

    /** Sends its standard error where its standard output goes. */
    public ExecBuilder mergeStderr() {
        merged = true;
        return this;
    }

    /** Sets what {@link #run} gives it to read; by default nothing. */
    public ExecBuilder input(byte[] bytes) {
        input = bytes.clone();
        return this;
    }

    /** Sets how many bytes of each stream {@link #run} keeps, 0..2^31 - 9: a program that writes more is killed. */
    public ExecBuilder outputLimit(int bytes) {
        if (bytes < 0 || bytes > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException("a limit of " + bytes + " bytes is out of range");
        }
        outputLimit = bytes;
        return this;
    }

    /** Sets how long {@link #run} lets it run before it is killed; by default for ever. */
    public ExecBuilder timeout(Duration value) {
        timeout = value;
        return this;
    }

    private ExecRequest request() {
        return new ExecRequest(command, environment, directory, user, terminal, rows, columns, merged);
    }

    /**
     * Starts it. Who starts it reads its streams and closes it.
     *
     * @throws GuestException if it cannot be started, or the guest has no agent
     * @throws IllegalArgumentException if something that was set could not be handed over
     */
    public GuestProcess start() throws GuestException {
        return client.exec(request());
    }

    /**
     * Runs it and keeps what it writes.
     *
     * @throws GuestException if it cannot be started, writes more than it may ({@link GuestException.Problem#LIMIT}), runs longer
     *     than it may ({@link GuestException.Problem#TIMEOUT}), or is lost
     * @throws IllegalArgumentException if something that was set could not be handed over
     */
    public ExecResult run() throws InterruptedException, GuestException {
        return client.run(request(), input, outputLimit, timeout);
    }
}
