package io.thimble.vmm;

import io.thimble.virtio.net.NetLimits;
import io.thimble.virtio.net.NetStatistics;

/** A network card of a running VM. Every method may be called from any thread, in any state of the VM. */
public interface GuestNetwork {
    /** Returns the card's name, for example {@code net0}. */
    String name();

    /** Returns the guest's Ethernet address as the VM was started with. */
    String mac();

    /** Connects or pulls the guest's cable; the guest's driver notices. Without effect once the VM has stopped. */
    void setLinkUp(boolean up);

    /** Returns the limits in effect. */
    NetLimits limits();

    /** Changes the limits, at once; frames that wait go by the new ones. Without effect once the VM has stopped. */
    void setLimits(NetLimits limits);

    /** Returns what went through so far. */
    NetStatistics statistics();
}
