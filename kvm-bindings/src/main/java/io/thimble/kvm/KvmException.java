package io.thimble.kvm;

import io.thimble.linux.LinuxException;
import io.thimble.linux.abi.Errnos;
import java.io.Serial;

/** A KVM operation that failed: the ioctl's name, the error number, and the remedy where one is known. */
public final class KvmException extends LinuxException {
    @Serial
    private static final long serialVersionUID = 1;

    /** For {@code operation}, which gave the positive error number {@code errno}. */
    public KvmException(String operation, int errno) {
        super(operation, errno, remedy(operation, errno));
    }

    /** Likewise, with a remedy of the caller's. */
    public KvmException(String operation, int errno, String remedy) {
        super(operation, errno, remedy);
    }

    /** Returns {@code result} unless it is {@code -errno}. */
    static long checked(String operation, long result) {
        if (result < 0) {
            throw new KvmException(operation, (int) -result);
        }
        return result;
    }

    /** Returns what to do about {@code errno} from {@code operation}; empty where nothing general can be said. */
    private static String remedy(String operation, int errno) {
        return switch (errno) {
            case Errnos.EMFILE -> "raise the limit of open files (ulimit -n)";
            case Errnos.ENFILE -> "the host has no file descriptor left (sysctl fs.file-max)";
            case Errnos.ENOMEM -> "free memory on the host, or raise the memory cgroup's limit";
            case Errnos.EBUSY ->
                operation.equals("KVM_CREATE_VM")
                        ? "another hypervisor uses the processor's virtualization: stop it"
                        : "";
            case Errnos.ENOTTY -> "the host's kernel does not have this operation";
            default -> "";
        };
    }
}
