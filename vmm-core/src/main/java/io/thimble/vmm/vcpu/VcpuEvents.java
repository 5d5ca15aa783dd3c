package io.thimble.vmm.vcpu;

/** What the exit loop tells the machine. Called on a vCPU's thread; implementations return without blocking. */
public interface VcpuEvents {
    /** The guest asked the kernel for a power-off ({@code KVM_SYSTEM_EVENT_SHUTDOWN}). */
    void powerOff();

    /** The guest asked the kernel for a reset ({@code KVM_SYSTEM_EVENT_RESET}). */
    void reset(String source);

    /** The guest's kernel crashed and said so ({@code KVM_SYSTEM_EVENT_CRASH}). */
    void panicked(String detail);

    /**
     * The vCPU cannot go on: a triple fault, an internal error of KVM, an exit that nobody handles, or a failure of the
     * loop itself.
     *
     * @param detail what happened, in one line
     * @param registers of this vCPU, several lines; empty if they cannot be read
     */
    void crashed(String detail, String registers);

    /** The vCPU enters the guest for the first time. */
    void firstRun(int vcpuId);
}
