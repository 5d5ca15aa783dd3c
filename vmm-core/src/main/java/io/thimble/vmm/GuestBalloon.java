package io.thimble.vmm;

import java.util.concurrent.CompletableFuture;

/** The balloon of a running VM. Every method may be called from any thread, in any state of the VM. */
public interface GuestBalloon {
    /**
     * Asks the guest to give memory back, or to take it again. It does so as far as it can, and takes some back by itself rather
     * than end programs for lack of memory.
     *
     * @param bytes how large the balloon is to be, a multiple of 4 KiB, from 0 to the VM's memory
     * @throws MicroVmException if it is something else
     */
    void setTarget(long bytes);

    /** Returns how large the balloon is to be, in bytes. */
    long target();

    /** Returns how large it is, as the guest says, in bytes. */
    long actual();

    /** Returns how many bytes have gone back to the host so far; some may be in use again. */
    long released();

    /** Asks the guest about its memory; never completes if the guest does not answer, and is cancelled when the VM ends. */
    CompletableFuture<MemoryStatistics> statistics();

    /**
     * What a guest says of its memory; -1 where it says nothing.
     *
     * @param total bytes that it has
     * @param free bytes that nothing uses
     * @param available bytes that new programs could have
     * @param majorFaults pages read back from a disk
     */
    record MemoryStatistics(long total, long free, long available, long majorFaults) {}
}
