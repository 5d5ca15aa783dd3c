package io.thimble.vmm.machine;

import io.thimble.linux.LinuxException;
import io.thimble.virtio.block.BlockDevice;
import io.thimble.virtio.block.DiskImage;
import io.thimble.virtio.block.DiskImageException;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.vmm.Disk;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;

/** Makes block devices of what the builder was told of disks. */
final class Disks {
    private Disks() {}

    /**
     * Opens and locks an image, and makes its device.
     *
     * @param number counts the VM's disks
     * @throws MicroVmException if it cannot be used, with the remedy
     */
    static BlockDevice open(Disk disk, int number, DeviceListener listener) {
        String name = "disk" + number;
        try {
            DiskImage image = DiskImage.open(disk.path(), disk.readOnly(), disk.direct(), disk.blockSize());
            return new BlockDevice(name, image, disk.options(), listener);
        } catch (DiskImageException | LinuxException e) {
            throw new MicroVmException(Problem.CONFIGURATION, name + ": " + Messages.of(e), e);
        }
    }
}
