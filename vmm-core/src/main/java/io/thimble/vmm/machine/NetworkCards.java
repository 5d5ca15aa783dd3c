package io.thimble.vmm.machine;

import io.thimble.linux.LinuxException;
import io.thimble.linux.NetInterface;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.net.MacAddress;
import io.thimble.virtio.net.NetBackend;
import io.thimble.virtio.net.NetConfig;
import io.thimble.virtio.net.NetDevice;
import io.thimble.virtio.net.NetLimits;
import io.thimble.virtio.net.NetStatistics;
import io.thimble.virtio.net.TapBackend;
import io.thimble.vmm.GuestNetwork;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.Network;
import java.util.List;

/** Makes network devices of what the user has described, and users' handles of the devices. */
final class NetworkCards {
    private NetworkCards() {}

    /**
     * Makes a device, with its back end open.
     *
     * @param index among the VM's cards
     * @throws MicroVmException if the back end cannot be had
     */
    static NetDevice open(Network network, int index, DeviceListener listener) {
        MacAddress mac = network.mac().map(MacAddress::parse).orElseGet(MacAddress::random);
        NetConfig config = new NetConfig("net" + index, mac, network.mtu(), network.offloads(), network.limits());
        return new NetDevice(config, backend(network, mac), listener);
    }

    private static NetBackend backend(Network network, MacAddress mac) {
        try {
            return switch (network.link()) {
                case Network.Tap tap -> tap(network, tap);
                case Network.Switch link -> Switches.inside(link.to()).connect(mac);
                case Network.Passt passt ->
                    PasstProcess.start(passt, network.mtu().orElse(PasstProcess.MTU));
            };
        } catch (IllegalArgumentException e) {
            throw new MicroVmException(Problem.CONFIGURATION, "network: " + Messages.of(e), e);
        } catch (LinuxException e) {
            throw new MicroVmException(Problem.HOST, Messages.of(e), e);
        }
    }

    private static NetBackend tap(Network network, Network.Tap tap) {
        NetInterface name = new NetInterface(tap.name());
        return tap.create()
                ? TapBackend.create(name, network.queues(), network.mtu())
                : TapBackend.open(name, network.queues());
    }

    /**
     * Returns the kernel parameters that give the guest its addresses.
     *
     * @throws MicroVmException if more than one card is to get one
     */
    static String kernelParameters(List<Network> networks) {
        String parameters = "";
        for (int i = 0; i < networks.size(); i++) {
            if (networks.get(i).address().isPresent()) {
                if (!parameters.isEmpty()) {
                    throw new MicroVmException(
                            Problem.CONFIGURATION,
                            "network: the kernel gives an address to one card only - configure the others in the guest");
                }
                parameters = networks.get(i).address().get().kernelParameter("eth" + i);
            }
        }
        return parameters;
    }

    /** Returns the handle of a device that runs on {@code loop}. */
    static GuestNetwork handle(NetDevice device, DeviceLoop loop) {
        return new Handle(device, loop);
    }

    private record Handle(NetDevice device, DeviceLoop loop) implements GuestNetwork {
        @Override
        public String name() {
            return device.name();
        }

        @Override
        public String mac() {
            return device.macAddress().toString();
        }

        @Override
        public void setLinkUp(boolean up) {
            boolean _ = loop.post(() -> device.setLinkUp(up));
        }

        @Override
        public NetLimits limits() {
            return device.limits();
        }

        @Override
        public void setLimits(NetLimits limits) {
            device.setLimits(limits);
            boolean _ = loop.post(device::limitsChanged);
        }

        @Override
        public NetStatistics statistics() {
            return device.statistics();
        }
    }
}
