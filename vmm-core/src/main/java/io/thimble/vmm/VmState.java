package io.thimble.vmm;

/** Where a VM is in its life: CREATED, then RUNNING and PAUSED in turn, then STOPPED for good. */
public enum VmState {
    /** Built, holds nothing of the host yet. */
    CREATED,
    /** Its vCPUs run. */
    RUNNING,
    /** No vCPU is in the guest, no device touches its memory. */
    PAUSED,
    /** Ended; it holds nothing of the host any more. */
    STOPPED
}
