package io.thimble.virtio.device;

/**
 * Work that its loop finds by looking for it, so that nobody need tell of it while the loop is awake: a driver's notification is
 * an exit of its vCPU, and waking a thread costs about as much. On the loop's thread; throws nothing that the driver causes.
 */
public interface Poller {
    /**
     * Does what there is to do, if anything; asked all the time while the loop is awake with nothing else to do.
     *
     * @return whether there was something
     */
    boolean poll();

    /**
     * Asks to be told of what comes from now on, since the loop is about to sleep.
     *
     * @return whether something has come already, which the loop then polls for instead
     */
    boolean beforeSleep();
}
