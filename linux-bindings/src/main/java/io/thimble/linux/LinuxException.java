package io.thimble.linux;

import java.io.Serial;

/** A system call that failed: the operation, the error number, and what to do about it where that is known. */
public class LinuxException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1;

    private final String operation;
    private final int errno;

    /** For {@code operation}, which gave the positive error number {@code errno}. */
    public LinuxException(String operation, int errno) {
        this(operation, errno, "");
    }

    /** Likewise, with the remedy, which may be empty. */
    public LinuxException(String operation, int errno, String remedy) {
        super(operation + ": " + Errno.describe(errno) + (remedy.isEmpty() ? "" : " - " + remedy));
        this.operation = operation;
        this.errno = errno;
    }

    /** Returns what was tried, in the words of the system call's manual page. */
    public final String operation() {
        return operation;
    }

    /** Returns the positive error number. */
    public final int errno() {
        return errno;
    }

    /** Returns {@code result} unless it is {@code -errno}. */
    public static long check(String operation, long result) {
        if (result < 0) {
            throw new LinuxException(operation, (int) -result);
        }
        return result;
    }
}
