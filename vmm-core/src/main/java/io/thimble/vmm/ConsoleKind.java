package io.thimble.vmm;

/** What the guest's console is. */
public enum ConsoleKind {
    /**
     * The first serial port, {@code ttyS0}: from the kernel's first line on, with any kernel, but each character costs an exit
     * to the host.
     */
    SERIAL,
    /**
     * A virtio console, {@code hvc0}: a hundred times faster. What a Linux kernel prints before its driver has started comes by
     * the serial port all the same ({@code earlycon}). With {@link SlowReaderPolicy#HOLD_BACK} a Linux guest whose output
     * nobody reads spins with its processor until somebody does: that is how its driver waits.
     */
    VIRTIO
}
