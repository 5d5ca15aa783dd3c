package io.thimble.vmm;

/** A network card of a running VM. Every method may be called from any thread, in any state of the VM. */
public interface GuestNetwork {
    /** Returns the card's name, for example {@code net0}. */
    String name();

    /** Returns the guest's Ethernet address as the VM was started with. */
    String mac();

    /** Connects or pulls the guest's cable; the guest's driver notices. Without effect once the VM has stopped. */
    void setLinkUp(boolean up);

    /** Returns what went through so far. */
    NetworkStatistics statistics();
}
