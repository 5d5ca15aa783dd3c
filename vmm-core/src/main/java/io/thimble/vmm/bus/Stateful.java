package io.thimble.vmm.bus;

/**
 * A device whose guest-visible state can be taken out as a record and put back, for snapshots.
 *
 * <p>Both methods are for a paused machine: no vCPU runs and no host thread feeds the device meanwhile.
 *
 * @param <S> the record, immutable, comparable by value
 */
public interface Stateful<S extends Record> {
    /** Returns the device's state. */
    S state();

    /**
     * Puts a state back and drives the device's interrupt line accordingly.
     *
     * @throws IllegalArgumentException if no such device could have been in that state
     */
    void restore(S state);
}
