package io.thimble.vmm;

/**
 * Learns what happens to a VM. Calls come one after the other, in order, on a thread of the listener's own, so they may
 * block and may call any method of the VM.
 */
public interface VmListener {
    /** The VM is in a new state. */
    default void stateChanged(VmState state) {}

    /** The guest agent runs the command (or the shell). */
    default void ready() {}

    /**
     * The guest's command ended; the VM usually powers off soon after.
     *
     * @param status 0..255, as a shell tells it
     */
    default void commandEnded(int status) {}

    /** The VM ended; after this comes {@code stateChanged(STOPPED)} and nothing more. */
    default void ended(ExitReport report) {}
}
