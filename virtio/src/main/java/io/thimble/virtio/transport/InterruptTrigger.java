package io.thimble.virtio.transport;

/** The wire from a device to the guest's interrupt controller: an edge, such as an irqfd delivers. From any thread. */
@FunctionalInterface
public interface InterruptTrigger {
    /** Raises one interrupt. */
    void trigger();
}
