package io.thimble.vmm.x86;

import io.thimble.memory.GuestMemory;
import io.thimble.vmm.x86.acpi.AcpiTables;
import io.thimble.vmm.x86.mptable.MpTable;
import java.util.List;

/** The tables by which a kernel finds CPUs, interrupt controllers and devices. */
public final class FirmwareTables {
    private FirmwareTables() {}

    /**
     * Writes the MP table and, if asked for, the ACPI tables.
     *
     * @return the guest-physical address of ACPI's root pointer (RSDP); 0 without ACPI
     */
    public static long write(GuestMemory memory, Topology topology, boolean acpi) {
        long _ = MpTable.write(memory, topology.vcpus());
        return acpi ? AcpiTables.write(memory, topology.vcpus(), List.of()) : 0;
    }
}
