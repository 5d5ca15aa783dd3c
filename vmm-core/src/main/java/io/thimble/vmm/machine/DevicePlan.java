package io.thimble.vmm.machine;

import io.thimble.virtio.balloon.BalloonDevice;
import io.thimble.virtio.block.BlockDevice;
import io.thimble.virtio.block.BlockHandle;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.net.NetDevice;
import io.thimble.virtio.rng.RngDevice;
import io.thimble.virtio.transport.MmioTransport;
import io.thimble.virtio.vsock.VsockDevice;
import io.thimble.virtio.vsock.VsockLimits;
import io.thimble.vmm.Disk;
import io.thimble.vmm.MachineConfig;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.Network;
import io.thimble.vmm.boot.BootLayout;
import io.thimble.vmm.event.EventLoop;
import io.thimble.vmm.x86.LegacyInterrupts;
import io.thimble.vmm.x86.acpi.VirtioMmioDevice;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The VM's virtio devices, made and checked before the VM uses anything of KVM, and where each has its registers and its
 * interrupt. The order is that in which a guest finds them.
 */
final class DevicePlan implements AutoCloseable {
    private final List<VirtioDevice> devices = new ArrayList<>();
    private final List<BlockHandle> disks = new ArrayList<>();
    private @Nullable VsockDevice vsock;
    private final List<NetDevice> networks = new ArrayList<>();
    private @Nullable BalloonDevice balloon;

    private DevicePlan() {}

    /**
     * Makes the devices.
     *
     * @param loop on which they are to run
     * @param listener is told of what goes wrong with one later
     * @throws MicroVmException if one cannot be had, or if they are too many
     */
    static DevicePlan open(MachineConfig config, Consoles consoles, EventLoop loop, DeviceListener listener) {
        DevicePlan plan = new DevicePlan();
        try {
            plan.addAll(config, loop, listener);
            // Last, because a reader that does not read takes its time when the VM ends.
            plan.devices.addAll(consoles.devices());
            int lines = LegacyInterrupts.FREE.size();
            if (plan.devices.size() > lines) {
                throw new MicroVmException(
                        Problem.CONFIGURATION,
                        plan.devices.size() + " virtio devices, but there are interrupt lines for " + lines
                                + ": give the VM fewer");
            }
            return plan;
        } catch (RuntimeException | Error e) {
            plan.close();
            throw e;
        }
    }

    private void addAll(MachineConfig machine, EventLoop loop, DeviceListener listener) {
        MachineConfig.Devices config = machine.devices();
        if (config.rng()) {
            devices.add(new RngDevice());
        }
        for (Disk disk : config.disks()) {
            BlockDevice device = Disks.open(disk, disks.size(), listener);
            devices.add(device);
            disks.add(device);
        }
        if (RootDisk.isNeeded(machine)) {
            devices.add(RootDisk.open(machine, listener));
        }
        if (config.vsock().isPresent()) {
            addVsock(config.vsock().get(), loop);
        }
        if (config.balloon().isPresent()) {
            balloon = new BalloonDevice(config.balloon().get().freePageReporting());
            devices.add(balloon);
        }
        for (Network network : config.networks()) {
            NetDevice card = NetworkCards.open(network, networks.size(), listener);
            devices.add(card);
            networks.add(card);
        }
    }

    private void addVsock(MachineConfig.VsockConfig config, EventLoop loop) {
        VsockDevice device = new VsockDevice(config.guestCid(), loop, VsockLimits.DEFAULT);
        vsock = device;
        devices.add(device);
        if (config.socket().isPresent()) {
            try {
                device.bridge(config.socket().get());
            } catch (IOException e) {
                throw new MicroVmException(Problem.CONFIGURATION, Messages.of(e), e);
            }
        }
    }

    /** Returns the disks, in the builder's order. */
    List<BlockHandle> disks() {
        return List.copyOf(disks);
    }

    /** Returns the devices. */
    List<VirtioDevice> devices() {
        return List.copyOf(devices);
    }

    /** Returns the socket device. */
    Optional<VsockDevice> vsock() {
        return Optional.ofNullable(vsock);
    }

    /** Returns the balloon. */
    Optional<BalloonDevice> balloon() {
        return Optional.ofNullable(balloon);
    }

    /** Returns the network cards among them. */
    List<NetDevice> networks() {
        return List.copyOf(networks);
    }

    /** Returns each device's place. */
    List<VirtioMmioDevice> places() {
        List<VirtioMmioDevice> places = new ArrayList<>();
        for (int i = 0; i < devices.size(); i++) {
            places.add(new VirtioMmioDevice(
                    BootLayout.VIRTIO_MMIO_ADDRESS + (long) i * MmioTransport.LENGTH,
                    MmioTransport.LENGTH,
                    LegacyInterrupts.FREE.get(i)));
        }
        return places;
    }

    /**
     * Returns the kernel parameters that announce the devices (Documentation/admin-guide/kernel-parameters.txt,
     * {@code virtio_mmio.device}), for a kernel that has no ACPI to look in.
     */
    String kernelParameters() {
        return places().stream()
                .map(p -> String.format("virtio_mmio.device=%d@0x%x:%d", p.size(), p.address(), p.gsi()))
                .collect(Collectors.joining(" "));
    }

    /** Frees the devices, unless a {@link VirtioBoard} has taken them over. */
    @Override
    public void close() {
        for (VirtioDevice device : devices) {
            boolean _ = device.close(Duration.ZERO); // it was never active: there is no I/O
        }
    }
}
