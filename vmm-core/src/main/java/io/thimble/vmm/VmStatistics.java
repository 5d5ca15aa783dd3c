package io.thimble.vmm;

import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * Counts of what a VM has done. Taken while it runs they may lag behind by a little.
 *
 * @param exits how often its vCPUs left the guest, by reason ({@code KVM_EXIT_*})
 * @param interrupted how often the host made them leave
 * @param inKvmRun for each vCPU, how long it was in KVM_RUN: it ran the guest's code there, or waited for an interrupt. A stay that
 *     has not ended is not counted
 * @param unclaimedPorts accesses to ports that no device has
 * @param unclaimedMemory accesses to guest-physical addresses that no device and no memory has
 * @param consoleDropped characters of the console's output that were dropped
 * @param driverFaults how often a driver of the guest broke a rule of virtio, so that its device waits for a reset
 * @param hostFailures how often the host failed a device, for example by an I/O error
 */
public record VmStatistics(
        Map<String, Long> exits,
        long interrupted,
        List<Duration> inKvmRun,
        long unclaimedPorts,
        long unclaimedMemory,
        long consoleDropped,
        long driverFaults,
        long hostFailures) {

    /** Copies the collections. */
    public VmStatistics {
        exits = Map.copyOf(exits);
        inKvmRun = List.copyOf(inKvmRun);
    }

    /** Returns the sum of {@link #exits}. */
    public long totalExits() {
        return exits.values().stream().mapToLong(Long::longValue).sum();
    }
}
