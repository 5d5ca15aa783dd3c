package io.thimble.virtio.device;

/** Is told what a VM's owner should know of its devices. On the loop's or a vCPU's thread: it must not block. */
public interface DeviceListener {
    /**
     * A driver has broken a rule and its device waits for a reset. A guest can have that happen as often as it likes:
     * log it once.
     *
     * @param device its name
     * @param reason the rule
     */
    void needsReset(String device, String reason);

    /**
     * The host failed a device, for example by an I/O error.
     *
     * @param device its name
     * @param message what failed, and the remedy if there is one
     */
    void hostFailure(String device, String message);

    /** Returns a listener that does nothing. */
    static DeviceListener none() {
        return new DeviceListener() {
            @Override
            public void needsReset(String device, String reason) {}

            @Override
            public void hostFailure(String device, String message) {}
        };
    }
}
