package io.thimble.virtio.transport;

import io.thimble.virtio.queue.VirtqueueState;
import java.util.List;
import java.util.Optional;

/**
 * What a transport holds for a device, for a snapshot.
 *
 * @param status the device status field
 * @param driverFeatures as the driver has written them
 * @param interruptStatus bits that the driver has not acknowledged
 * @param queues what the driver has set up, by index; empty for a queue that is not ready
 * @param device what the device holds
 */
public record TransportState(
        int status, long driverFeatures, int interruptStatus, List<Optional<VirtqueueState>> queues, Record device) {
    /** Copies the list. */
    public TransportState {
        queues = List.copyOf(queues);
    }
}
