package io.thimble.vmm;

import io.thimble.virtio.net.VirtualSwitch;
import io.thimble.vmm.machine.Switches;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * An Ethernet switch inside this process that joins VMs, without root and without any trace on the host. What is sent to a VM that
 * does not keep up, or has ended, is dropped; nobody else waits for it. Thread-safe.
 *
 * <p>A guest cannot take the address that another VM's card was made with; other addresses it can claim, as on any switch.
 */
public final class NetworkSwitch {
    private static final Map<String, NetworkSwitch> NAMED = new ConcurrentHashMap<>();

    private final VirtualSwitch inside;

    private NetworkSwitch(VirtualSwitch inside) {
        this.inside = inside;
    }

    /**
     * Makes a switch.
     *
     * @param name for messages
     */
    public static NetworkSwitch create(String name) {
        VirtualSwitch inside = new VirtualSwitch(name);
        NetworkSwitch made = new NetworkSwitch(inside);
        Switches.register(made, inside);
        return made;
    }

    /** Returns this process's switch of that name, which is made at the first call. */
    public static NetworkSwitch named(String name) {
        return NAMED.computeIfAbsent(name, NetworkSwitch::create);
    }

    /** Returns the name. */
    public String name() {
        return inside.name();
    }

    /** Returns how many cards are plugged in. */
    public int size() {
        return inside.size();
    }

    /** Returns how many frames were dropped because their receiver did not keep up. */
    public long dropped() {
        return inside.dropped();
    }
}
