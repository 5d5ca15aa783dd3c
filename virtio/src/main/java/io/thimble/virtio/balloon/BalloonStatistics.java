package io.thimble.virtio.balloon;

import io.thimble.linux.abi.VirtioBalloonConstants;
import java.util.Map;
import java.util.OptionalLong;

/**
 * What a guest's driver says of its memory (virtio 1.2, section 5.5.6.3). It may leave values out, and may lie.
 *
 * @param values by tag, {@code VIRTIO_BALLOON_S_*}; memory in bytes
 */
public record BalloonStatistics(Map<Integer, Long> values) {
    /** Copies the map. */
    public BalloonStatistics {
        values = Map.copyOf(values);
    }

    /** Returns a value by its tag. */
    public OptionalLong value(int tag) {
        Long value = values.get(tag);
        return value == null ? OptionalLong.empty() : OptionalLong.of(value);
    }

    /** Returns how much memory the guest uses for nothing. */
    public OptionalLong free() {
        return value(VirtioBalloonConstants.VIRTIO_BALLOON_S_MEMFREE);
    }

    /** Returns how much memory the guest has. */
    public OptionalLong total() {
        return value(VirtioBalloonConstants.VIRTIO_BALLOON_S_MEMTOT);
    }

    /** Returns how much memory new programs in the guest could have without swapping. */
    public OptionalLong available() {
        return value(VirtioBalloonConstants.VIRTIO_BALLOON_S_AVAIL);
    }
}
