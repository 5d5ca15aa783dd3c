package io.thimble.vmm;

import java.io.Serial;

/** A VM that cannot be built, started or addressed. The message is one line and names the remedy where there is one. */
public final class MicroVmException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1;

    /** What kind of thing is wrong. */
    public enum Problem {
        /** KVM is missing, not permitted, or lacks what is needed. */
        KVM,
        /** The kernel, the initial RAM disk or the command line cannot be used. */
        BOOT_FILES,
        /** The guest's memory is too small, too large, or not to be had. */
        MEMORY,
        /** Too many vCPUs. */
        VCPUS,
        /** Another value that was given is wrong. */
        CONFIGURATION,
        /** The host refused something else. */
        HOST
    }

    private final Problem problem;

    /** With the kind and one line of text. */
    public MicroVmException(Problem problem, String message) {
        super(message);
        this.problem = problem;
    }

    /** Likewise, with the cause. */
    public MicroVmException(Problem problem, String message, Throwable cause) {
        super(message, cause);
        this.problem = problem;
    }

    /** Returns what kind of thing is wrong. */
    public Problem problem() {
        return problem;
    }
}
