package io.thimble.vmm;

import io.thimble.vmm.MicroVmException.Problem;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How a guest's card gets its IPv4 address before init runs: by the kernel's parameter {@code ip}
 * (Documentation/admin-guide/nfs/nfsroot.rst), which needs {@code CONFIG_IP_PNP}; the bundled kernel has it.
 *
 * @param dhcp whether the kernel asks a DHCP server; then the rest is empty
 * @param address dotted
 * @param prefix length of the network's part in bits
 * @param gateway dotted
 * @param nameServer dotted; the kernel tells it in {@code /proc/net/pnp}
 */
public record GuestAddress(
        boolean dhcp, String address, int prefix, Optional<String> gateway, Optional<String> nameServer) {
    private static final String BYTE = "(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)";
    private static final String IPV4 = "(?:" + BYTE + "\\.){3}" + BYTE;
    private static final Pattern STATIC = Pattern.compile("(" + IPV4 + ")/(\\d{1,2})");
    private static final Pattern PLAIN = Pattern.compile(IPV4);
    private static final int MAX_PREFIX = 32;

    /** Asks a DHCP server: the boot waits for the answer. */
    public static GuestAddress byDhcp() {
        return new GuestAddress(true, "", 0, Optional.empty(), Optional.empty());
    }

    /**
     * A fixed address.
     *
     * @param text address and prefix length, as in {@code 192.0.2.2/24}
     */
    public static GuestAddress of(String text) {
        Matcher matcher = STATIC.matcher(text);
        if (!matcher.matches() || Integer.parseInt(matcher.group(2)) > MAX_PREFIX) {
            throw wrong("address \"" + text + "\": write address and prefix length, as in 192.0.2.2/24");
        }
        return new GuestAddress(
                false, matcher.group(1), Integer.parseInt(matcher.group(2)), Optional.empty(), Optional.empty());
    }

    /** Adds the router to the rest of the world. */
    public GuestAddress withGateway(String router) {
        return new GuestAddress(dhcp, address, prefix, Optional.of(plain("gateway", router)), nameServer);
    }

    /** Adds a name server. */
    public GuestAddress withNameServer(String server) {
        return new GuestAddress(dhcp, address, prefix, gateway, Optional.of(plain("name server", server)));
    }

    private static String plain(String what, String text) {
        if (!PLAIN.matcher(text).matches()) {
            throw wrong(what + " \"" + text + "\": write an IPv4 address, as in 192.0.2.1");
        }
        return text;
    }

    private static MicroVmException wrong(String message) {
        return new MicroVmException(Problem.CONFIGURATION, "network: " + message);
    }

    /**
     * Returns the kernel's parameter.
     *
     * @param device the card's name in the guest
     */
    public String kernelParameter(String device) {
        if (dhcp) {
            return "ip=:::::" + device + ":dhcp";
        }
        int mask = prefix == 0 ? 0 : -1 << (MAX_PREFIX - prefix);
        String dotted = (mask >>> 24) + "." + (mask >>> 16 & 0xff) + "." + (mask >>> 8 & 0xff) + "." + (mask & 0xff);
        return "ip=" + address + "::" + gateway.orElse("") + ":" + dotted + "::" + device + ":off:"
                + nameServer.orElse("");
    }
}
