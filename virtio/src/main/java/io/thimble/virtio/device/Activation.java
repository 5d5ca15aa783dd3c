package io.thimble.virtio.device;

import io.thimble.memory.GuestMemory;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import java.util.List;
import java.util.Optional;

/**
 * What a device works with from DRIVER_OK to the next reset.
 *
 * @param memory of the guest
 * @param queues by index; empty for one that the driver has not enabled
 * @param features as negotiated
 * @param interrupt to the driver
 * @param loop on which the device runs
 * @param faults where handlers of the device's own report the driver's mistakes
 */
public record Activation(
        GuestMemory memory,
        List<Optional<Virtqueue>> queues,
        long features,
        DeviceInterrupt interrupt,
        DeviceLoop loop,
        DriverFaults faults) {
    /** Copies the list. */
    public Activation {
        queues = List.copyOf(queues);
    }

    /**
     * Returns a queue that the device cannot do without.
     *
     * @throws VirtqueueException if the driver has not enabled it
     */
    public Virtqueue requireQueue(int index) {
        return queues.get(index).orElseThrow(() -> new VirtqueueException("DRIVER_OK without queue " + index));
    }

    /**
     * Tells whether a feature was negotiated.
     *
     * @param bit its number
     */
    public boolean has(int bit) {
        return (features & (1L << bit)) != 0;
    }
}
