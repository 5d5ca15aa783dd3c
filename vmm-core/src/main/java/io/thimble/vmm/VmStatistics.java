package io.thimble.vmm;

import java.util.Map;

/**
 * Counts of what a VM has done. Taken while it runs they may lag behind by a little.
 *
 * @param exits how often its vCPUs left the guest, by reason ({@code KVM_EXIT_*})
 * @param interrupted how often the host made them leave
 * @param unclaimedPorts accesses to ports that no device has
 * @param unclaimedMemory accesses to guest-physical addresses that no device and no memory has
 * @param consoleDropped characters of the console's output that were dropped
 * @param driverFaults how often a driver of the guest broke a rule of virtio, so that its device waits for a reset
 * @param hostFailures how often the host failed a device, for example by an I/O error
 */
public record VmStatistics(
        Map<String, Long> exits,
        long interrupted,
        long unclaimedPorts,
        long unclaimedMemory,
        long consoleDropped,
        long driverFaults,
        long hostFailures) {

    /** Copies the map. */
    public VmStatistics {
        exits = Map.copyOf(exits);
    }

    /** Returns the sum of {@link #exits}. */
    public long totalExits() {
        return exits.values().stream().mapToLong(Long::longValue).sum();
    }
}
