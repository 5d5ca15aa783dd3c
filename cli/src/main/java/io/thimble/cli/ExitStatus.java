package io.thimble.cli;

import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVmException.Problem;

/**
 * The launcher's exit statuses. A command's own, 0..255, is passed on; these tell what the launcher itself has to say. A
 * command can exit with the same number: what comes from the launcher has a line on the standard error stream.
 */
final class ExitStatus {
    static final int OK = 0;
    /** {@code doctor}: this host cannot run VMs. */
    static final int UNHEALTHY = 1;
    /** The command line cannot be understood. */
    static final int USAGE = 110;
    /** No KVM, no permission for it, or it lacks something. */
    static final int KVM = 111;
    /** The kernel, the initial RAM disk or the kernel's command line cannot be used. */
    static final int BOOT_FILES = 112;
    /** Memory is too small, too large, or not to be had. */
    static final int MEMORY = 113;
    /** Too many vCPUs. */
    static final int VCPUS = 114;
    /** Another value is wrong. */
    static final int CONFIGURATION = 115;
    /** The host refused something else. */
    static final int HOST = 116;
    /** A mistake in Thimble. */
    static final int INTERNAL = 117;
    /** The guest asked for a reset, and no command's status came. */
    static final int RESET = 120;
    /** The guest's kernel panicked. */
    static final int PANIC = 121;
    /** The guest crashed, or a part of the VM failed. */
    static final int CRASH = 122;
    /** A copy between host and guest failed. */
    static final int COPY = 124;
    /** What a shell tells of a program that a closed pipe ended: 128 + SIGPIPE. */
    static final int BROKEN_PIPE = 141;
    /** What a shell tells of a program that cannot be run. */
    static final int CANNOT_RUN = 126;
    /** What a shell tells of a program that is not there. */
    static final int NOT_FOUND = 127;
    /** The host ended the VM: the escape key. */
    static final int KILLED = 123;

    private ExitStatus() {}

    /** Returns the status for a VM that could not be started. */
    static int of(Problem problem) {
        return switch (problem) {
            case KVM -> KVM;
            case BOOT_FILES -> BOOT_FILES;
            case MEMORY -> MEMORY;
            case VCPUS -> VCPUS;
            case CONFIGURATION -> CONFIGURATION;
            case HOST -> HOST;
        };
    }

    /**
     * Returns the status for a VM that has ended: the command's own if it came and the guest then powered off (or reset
     * itself, which is how it powers off without ACPI).
     */
    static int of(ExitReport report) {
        return switch (report.reason()) {
            case POWER_OFF -> report.commandStatus().orElse(OK);
            case RESET -> report.commandStatus().orElse(RESET);
            case PANIC -> PANIC;
            case CRASH -> CRASH;
            case KILLED -> KILLED;
        };
    }

    /** Returns what to say about the end on the standard error stream; empty where there is nothing to say. */
    static String explain(ExitReport report) {
        String detail = report.detail().isEmpty() ? "" : ": " + report.detail();
        return switch (report.reason()) {
            case POWER_OFF -> "";
            case RESET -> report.commandStatus().isPresent() ? "" : "the guest asked for a reset" + detail;
            case PANIC -> "the guest's kernel panicked" + detail;
            case CRASH -> "the VM crashed" + detail;
            case KILLED -> "the VM was ended" + detail;
        };
    }
}
