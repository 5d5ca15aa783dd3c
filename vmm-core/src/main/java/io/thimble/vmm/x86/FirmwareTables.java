package io.thimble.vmm.x86;

import io.thimble.memory.GuestMemory;

/** The tables by which a kernel finds CPUs, interrupt controllers and devices. */
public final class FirmwareTables {
    private FirmwareTables() {}

    /**
     * Writes the MP table and, if asked for, the ACPI tables.
     *
     * @return the guest-physical address of ACPI's root pointer (RSDP); 0 without ACPI
     */
    public static long write(GuestMemory memory, Topology topology, boolean acpi) {
        return 0;
    }
}
