package io.thimble.vmm.machine;

import io.thimble.linux.abi.VirtioBalloonConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.balloon.BalloonDevice;
import io.thimble.virtio.balloon.BalloonStatistics;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.vmm.GuestBalloon;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import java.util.concurrent.CompletableFuture;

/**
 * A user's handle of a balloon.
 *
 * @param loop on which the device runs
 * @param memory of the guest in bytes
 */
record BalloonHandle(BalloonDevice device, DeviceLoop loop, long memory) implements GuestBalloon {
    private static final long PAGE = GuestMemory.PAGE_SIZE;

    @Override
    public void setTarget(long bytes) {
        if (bytes < 0 || bytes > memory || bytes % PAGE != 0) {
            throw new MicroVmException(
                    Problem.CONFIGURATION,
                    "a balloon of " + bytes + " bytes: use a multiple of 4 KiB up to the VM's memory");
        }
        boolean _ = loop.post(() -> device.setTargetPages((int) (bytes / PAGE)));
    }

    @Override
    public long target() {
        return Integer.toUnsignedLong(device.targetPages()) * PAGE;
    }

    @Override
    public long actual() {
        return Integer.toUnsignedLong(device.actualPages()) * PAGE;
    }

    @Override
    public long released() {
        return device.released() * PAGE;
    }

    @Override
    public CompletableFuture<MemoryStatistics> statistics() {
        CompletableFuture<BalloonStatistics> answer = new CompletableFuture<>();
        if (!loop.post(() -> device.askStatistics(answer))) {
            answer.cancel(false);
        }
        return answer.thenApply(numbers -> new MemoryStatistics(
                numbers.total().orElse(-1),
                numbers.free().orElse(-1),
                numbers.available().orElse(-1),
                numbers.value(VirtioBalloonConstants.VIRTIO_BALLOON_S_MAJFLT).orElse(-1)));
    }
}
