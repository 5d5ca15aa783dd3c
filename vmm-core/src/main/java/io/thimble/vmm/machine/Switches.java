package io.thimble.vmm.machine;

import io.thimble.virtio.net.VirtualSwitch;
import io.thimble.vmm.NetworkSwitch;
import java.util.Collections;
import java.util.Map;
import java.util.WeakHashMap;

/** What is inside the switches of the public API, which shows none of it. */
public final class Switches {
    private static final Map<NetworkSwitch, VirtualSwitch> INSIDE = Collections.synchronizedMap(new WeakHashMap<>());

    private Switches() {}

    /** Says what is inside a switch. */
    public static void register(NetworkSwitch outside, VirtualSwitch inside) {
        INSIDE.put(outside, inside);
    }

    static VirtualSwitch inside(NetworkSwitch outside) {
        VirtualSwitch found = INSIDE.get(outside);
        if (found == null) {
            throw new IllegalStateException("switch " + outside.name() + " is not registered");
        }
        return found;
    }
}
