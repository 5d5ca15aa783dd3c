package io.thimble.vmm.machine;

import io.thimble.virtio.block.BlockDevice;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.vmm.Disk;
import io.thimble.vmm.MachineConfig;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.boot.RootImage;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * What a kernel that takes no initial RAM disk gets instead: a disk behind all others with the same files. Its image has no name, so
 * that it goes with the VM, however that ends.
 */
final class RootDisk {
    private RootDisk() {}

    /** Tells whether the VM is to have one. */
    static boolean isNeeded(MachineConfig config) {
        return config.withInitrd() && !config.kernel().traits().initrd();
    }

    /**
     * Makes the disk.
     *
     * @throws MicroVmException if a file is missing or wrong, or there is no room for the image
     */
    static BlockDevice open(MachineConfig config, DeviceListener listener) {
        try {
            Path initrd = BootPlan.initrd(config);
            RootImage root = new RootImage()
                    .add(initrd.toString(), Files.readAllBytes(initrd))
                    .add("command", BootPlan.commandSegment(config).toBytes());
            Path image = Files.createTempFile("thimble-root", ".img");
            try {
                try (FileChannel out = FileChannel.open(image, StandardOpenOption.WRITE)) {
                    root.write(out);
                }
                return Disks.open(Disk.of(image), config.devices().disks().size(), listener);
            } finally {
                Files.delete(image);
            }
        } catch (IOException e) {
            throw new MicroVmException(Problem.BOOT_FILES, "root disk: " + Messages.of(e), e);
        }
    }

    /** Returns the kernel parameters by which Linux finds it and starts the agent. */
    static String kernelParameters(MachineConfig config) {
        char letter = (char) ('a' + config.devices().disks().size());
        return "root=/dev/vd" + letter + " rootfstype=ext4 rw init=/init";
    }
}
