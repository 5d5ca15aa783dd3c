package io.thimble.vmm;

import java.io.IOException;
import java.io.Serial;

/**
 * Something that was asked of the guest and could not be done: a program, a copy, a report. The message is one line; what stands
 * behind {@code guest:} in it is the guest's word.
 */
public final class GuestException extends IOException {
    @Serial
    private static final long serialVersionUID = 1;

    /** What kind of thing is wrong. */
    public enum Problem {
        /** The guest has no agent that takes connections, or not yet. */
        NO_AGENT,
        /** The program is not in the guest. */
        NOT_FOUND,
        /** The program, its user or its directory cannot be used. */
        CANNOT_RUN,
        /** A file operation in the guest failed. */
        FILE,
        /** The guest lacks memory, processes or descriptors. */
        RESOURCES,
        /** A limit that was set for this operation is reached. */
        LIMIT,
        /** It took longer than it may. */
        TIMEOUT,
        /** The guest's agent broke the rules of the protocol. */
        PROTOCOL,
        /** The connection ended before its time: the guest, its agent or this process has ended it. */
        LOST
    }

    private final Problem problem;
    private final int errno;

    /** With the kind and one line of text. */
    public GuestException(Problem problem, String message) {
        this(problem, 0, message);
    }

    /** Likewise, with the guest's error number, 0 if it told none. */
    public GuestException(Problem problem, int errno, String message) {
        super(message);
        this.problem = problem;
        this.errno = errno;
    }

    /** With the kind, one line of text, and the cause. */
    public GuestException(Problem problem, String message, Throwable cause) {
        super(message, cause);
        this.problem = problem;
        this.errno = 0;
    }

    /** Returns what kind of thing is wrong. */
    public Problem problem() {
        return problem;
    }

    /** Returns Linux's error number, as the guest told it: 0 if it told none. */
    public int errno() {
        return errno;
    }
}
