package io.thimble.vmm.machine;

import io.thimble.kvm.KvmVm;
import io.thimble.vmm.bus.InterruptLine;

/**
 * An interrupt line of a device, wired to the interrupt controllers in the kernel ({@code KVM_IRQ_LINE}). Any thread may
 * set it; after {@link #disconnect} that has no effect, so that a device may outlive the VM.
 */
final class GsiLine implements InterruptLine {
    private final KvmVm vm;
    private final int gsi;
    private boolean connected = true;

    GsiLine(KvmVm vm, int gsi) {
        this.vm = vm;
        this.gsi = gsi;
    }

    @Override
    public synchronized void setLevel(boolean asserted) {
        if (connected) {
            vm.irqLine(gsi, asserted);
        }
    }

    /**
     * Raises one interrupt, as an edge. An irqfd would do the same in one call, but by a thread of the kernel's that must get
     * a processor first: KVM delivers through its IOAPIC from no interrupt context.
     */
    synchronized void pulse() {
        if (connected) {
            vm.irqLine(gsi, true);
            vm.irqLine(gsi, false);
        }
    }

    /** Cuts the line; returns when no thread uses the VM through it any more. */
    synchronized void disconnect() {
        connected = false;
    }
}
