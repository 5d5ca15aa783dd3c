package io.thimble.virtio.net;

import java.util.OptionalInt;

/**
 * What a network device is made with.
 *
 * @param name for messages
 * @param mac the guest's address
 * @param mtu that the guest is told, in bytes; empty for what the back end says
 * @param offloads whether checksums and segmentation are left to the other side, as far as the back end can
 * @param limits of the rate, at first
 */
public record NetConfig(String name, MacAddress mac, OptionalInt mtu, boolean offloads, NetLimits limits) {
    /** The smallest MTU: what IPv4 needs (RFC 791); the specification's own minimum (section 5.1.4.1). */
    public static final int MIN_MTU = 68;

    /** The largest MTU. */
    public static final int MAX_MTU = 65535;

    /** Refuses what is no station's address, or no MTU. */
    public NetConfig {
        if (!mac.isUnicast()) {
            throw new IllegalArgumentException(
                    "Ethernet address " + mac + " is a group's: a guest needs a unicast one, whose first byte is even");
        }
        if (mtu.isPresent() && (mtu.getAsInt() < MIN_MTU || mtu.getAsInt() > MAX_MTU)) {
            throw new IllegalArgumentException(
                    "MTU " + mtu.getAsInt() + ": use " + MIN_MTU + " to " + MAX_MTU + " bytes");
        }
    }
}
