package io.thimble.vmm;

/** Why a VM ended. Told by its devices and by KVM, never by what the guest printed. */
public enum ExitReason {
    /**
     * The guest powered itself off: ACPI S5, the debug-exit port, or, without ACPI, a reset after its agent has told that
     * a power-off is meant.
     */
    POWER_OFF,
    /** The guest asked for a reset: i8042, the ACPI reset register, port 0x92. A VM does not restart by itself. */
    RESET,
    /** The guest's kernel panicked and said so through pvpanic. */
    PANIC,
    /** The guest cannot go on (a triple fault, an error inside KVM), or a part of the VM itself failed. */
    CRASH,
    /** The host ended it: {@link MicroVm#kill}, {@link MicroVm#close}, or the deadline of {@link MicroVm#stop}. */
    KILLED
}
