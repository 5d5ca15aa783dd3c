package io.thimble.vmm;

/**
 * A VM's balloon (virtio-balloon), by which its guest gives memory back to the host.
 *
 * @param freePageReporting whether the guest tells of free memory by itself, in blocks of 2 MiB (Linux's page order 9), so that it
 *     goes back without a target; needs a guest with {@code CONFIG_PAGE_REPORTING}, as the bundled one
 */
public record Balloon(boolean freePageReporting) {
    /** A balloon with free-page reporting. */
    public static Balloon create() {
        return new Balloon(true);
    }
}
