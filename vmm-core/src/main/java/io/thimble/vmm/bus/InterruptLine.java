package io.thimble.vmm.bus;

/**
 * One interrupt input of the machine's interrupt controller, as a level. On an edge-triggered line (ISA) the
 * controller latches the change from low to high.
 *
 * <p>Safe to call from any thread. Devices call it while they hold their own lock, so that levels reach the
 * controller in the order in which the device went through them; an implementation therefore neither blocks nor calls
 * back into a device.
 */
@FunctionalInterface
public interface InterruptLine {
    /** Drives the line: {@code true} is asserted. Setting the level that the line already has changes nothing. */
    void setLevel(boolean asserted);

    /** Returns a line that is connected to nothing. */
    static InterruptLine none() {
        return asserted -> {};
    }
}
