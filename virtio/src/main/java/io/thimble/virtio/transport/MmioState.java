package io.thimble.virtio.transport;

/**
 * What a virtio-mmio transport holds, for a snapshot.
 *
 * @param deviceFeaturesSelect the register {@code DeviceFeaturesSel}
 * @param driverFeaturesSelect the register {@code DriverFeaturesSel}
 * @param queueSelect the register {@code QueueSel}
 * @param transport everything else
 */
public record MmioState(
        int deviceFeaturesSelect, int driverFeaturesSelect, int queueSelect, TransportState transport) {}
