package io.thimble.cli;

import io.thimble.virtio.device.RateLimits;
import io.thimble.virtio.net.NetLimits;
import io.thimble.vmm.GuestAddress;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.Network;
import io.thimble.vmm.NetworkSwitch;
import java.util.List;

/** The value of {@code --net}: what the card is plugged into, then settings, with commas between them. */
final class NetOption {
    private static final String OPTION = "--net";
    private static final List<String> SETTINGS = List.of(
            "mac",
            "mtu",
            "queues",
            "offloads",
            "create",
            "ip",
            "gateway",
            "dns",
            "bps",
            "pps",
            "rx-bps",
            "rx-pps",
            "tx-bps",
            "tx-pps");

    private Network network;
    private GuestAddress address = GuestAddress.byDhcp();
    private boolean hasAddress;
    private long receiveBytes;
    private long receiveFrames;
    private long transmitBytes;
    private long transmitFrames;

    private NetOption(Network network) {
        this.network = network;
    }

    /**
     * Reads a value.
     *
     * @throws UsageException if it says nothing that could be a card
     */
    static Network parse(String text) {
        String[] parts = text.split(",", -1);
        boolean create = List.of(parts).contains("create");
        try {
            NetOption option = new NetOption(link(parts[0], create));
            for (int i = 1; i < parts.length; i++) {
                option.apply(parts[i]);
            }
            Network limited = option.network.withLimits(option.limits());
            return option.hasAddress ? limited.withAddress(option.address) : limited;
        } catch (MicroVmException e) {
            throw new UsageException(OPTION + " " + text + ": " + e.getMessage());
        }
    }

    private static Network link(String text, boolean create) {
        int equals = text.indexOf('=');
        String kind = equals < 0 ? text : text.substring(0, equals);
        String name = equals < 0 ? "" : text.substring(equals + 1);
        if (create && !kind.equals("tap")) {
            throw new UsageException(OPTION + " " + text + ": only a TAP can be created");
        }
        return switch (kind) {
            case "tap" -> create ? Network.newTap(name) : Network.tap(name);
            case "switch" -> Network.on(NetworkSwitch.named(name));
            case "passt" -> Network.passt();
            default -> throw new UsageException(OPTION + " " + text + ": write tap=NAME, switch=NAME or passt");
        };
    }

    private NetLimits limits() {
        return new NetLimits(RateLimits.of(receiveBytes, receiveFrames), RateLimits.of(transmitBytes, transmitFrames));
    }

    private void apply(String setting) {
        int equals = setting.indexOf('=');
        String name = equals < 0 ? setting : setting.substring(0, equals);
        String value = equals < 0 ? "" : setting.substring(equals + 1);
        switch (name) {
            case "create" -> {}
            case "mac" -> network = network.withMac(value);
            case "mtu" -> network = network.withMtu(number(setting, value));
            case "queues" -> network = network.withQueues(number(setting, value));
            case "offloads" -> network = network.withOffloads(onOrOff(setting, value));
            case "ip" -> setAddress(value);
            case "gateway" -> address = requireAddress(setting).withGateway(value);
            case "dns" -> address = requireAddress(setting).withNameServer(value);
            case "bps" -> {
                receiveBytes = bytes(name, value);
                transmitBytes = receiveBytes;
            }
            case "pps" -> {
                receiveFrames = frames(name, value);
                transmitFrames = receiveFrames;
            }
            case "rx-bps" -> receiveBytes = bytes(name, value);
            case "rx-pps" -> receiveFrames = frames(name, value);
            case "tx-bps" -> transmitBytes = bytes(name, value);
            case "tx-pps" -> transmitFrames = frames(name, value);
            default ->
                throw new UsageException(OPTION + ": no setting " + name + Suggestion.among(name, SETTINGS)
                        + "; there are " + String.join(", ", SETTINGS));
        }
    }

    private static long bytes(String name, String value) {
        return Rates.bytes(OPTION + " ..." + name, value);
    }

    private static long frames(String name, String value) {
        return Rates.perSecond(OPTION + " ..." + name, value);
    }

    private void setAddress(String value) {
        switch (value) {
            case "dhcp" -> address = GuestAddress.byDhcp();
            case "none" -> {
                network = network.withoutAddress();
                return;
            }
            default -> address = GuestAddress.of(value);
        }
        hasAddress = true;
    }

    private GuestAddress requireAddress(String setting) {
        if (!hasAddress) {
            throw new UsageException(OPTION + ": " + setting + " comes behind ip=ADDRESS/PREFIX");
        }
        return address;
    }

    private static int number(String setting, String value) {
        try {
            return Integer.parseInt(value);
        } catch (NumberFormatException _) {
            throw new UsageException(OPTION + ": " + setting + ": not a number");
        }
    }

    private static boolean onOrOff(String setting, String value) {
        return switch (value) {
            case "on" -> true;
            case "off" -> false;
            default -> throw new UsageException(OPTION + ": " + setting + ": write on or off");
        };
    }
}
