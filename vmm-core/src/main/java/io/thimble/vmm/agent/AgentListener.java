package io.thimble.vmm.agent;

/**
 * Learns what the agent tells. Called on the thread that feeds the channel, a vCPU's as a rule: it must not block. What it is told is the
 * guest's word: good for showing and for the exit status of the guest's own command, not for decisions about the host.
 */
public interface AgentListener {
    /**
     * The agent runs and takes requests. At most once.
     *
     * @param version of the protocol, 1 or more
     * @param init whether the agent is the guest's first process
     * @param uptimeMicros from the start of the guest's kernel to the agent's, by the guest's clock; 0 to 2^32 - 1
     * @param kernelRelease printable ASCII, at most 64 characters
     */
    default void hello(int version, boolean init, long uptimeMicros, String kernelRelease) {}

    /**
     * Where the command's streams are. Once, after hello.
     *
     * @param connected whether the agent has begun to connect to the host with them; else they are on the console
     */
    default void streams(boolean connected) {}

    /** The command runs. At most once, after hello and before exit; not at all when the command cannot be run. */
    default void ready(long uptimeMicros) {}

    /**
     * The command ended. At most once.
     *
     * @param status 0 to 255; 126 cannot be run, 127 not found, 128 + n killed by signal n
     * @param stopped whether the shutdown had begun already, so that the status is its effect
     */
    default void exit(int status, boolean stopped) {}

    /** The agent stops the guest in order. At most once. */
    default void stopping(StopAction action, StopCause cause) {}

    /**
     * The command's input, when the console is a stream, has got so far. Any number of times.
     *
     * @param bytes in all; the guest's word, any value
     */
    default void inputTaken(long bytes) {}

    /** A complaint of the agent: one line of printable text, at most 512 characters. At most 64 times. */
    default void log(String line) {}
}
