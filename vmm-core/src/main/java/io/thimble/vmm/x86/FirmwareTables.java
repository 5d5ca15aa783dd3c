package io.thimble.vmm.x86;

import io.thimble.memory.GuestMemory;
import io.thimble.vmm.x86.acpi.AcpiTables;
import io.thimble.vmm.x86.acpi.VirtioMmioDevice;
import io.thimble.vmm.x86.mptable.MpTable;
import java.util.List;

/** The tables by which a kernel finds CPUs, interrupt controllers and devices. */
public final class FirmwareTables {
    private FirmwareTables() {}

    /**
     * Writes the MP table and, if asked for, the ACPI tables.
     *
     * @param devices the virtio-mmio devices, which ACPI announces
     * @return the guest-physical address of ACPI's root pointer (RSDP); 0 without ACPI
     */
    public static long write(GuestMemory memory, Topology topology, boolean acpi, List<VirtioMmioDevice> devices) {
        long _ = MpTable.write(memory, topology.vcpus());
        return acpi ? AcpiTables.write(memory, topology.vcpus(), devices) : 0;
    }
}
