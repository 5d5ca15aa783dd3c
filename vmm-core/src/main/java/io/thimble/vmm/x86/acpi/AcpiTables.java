package io.thimble.vmm.x86.acpi;

import io.thimble.memory.GuestMemory;
import io.thimble.vmm.boot.BootLayout;
import io.thimble.vmm.legacy.AcpiPm;
import io.thimble.vmm.legacy.ResetPort;
import io.thimble.vmm.x86.LegacyInterrupts;
import io.thimble.vmm.x86.Topology;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes RSDP, XSDT, FADT, FACS, MADT and DSDT for the machine that {@link BootLayout} lays out: fixed hardware (PM1a
 * event and control block, reset register), one IOAPIC with 24 inputs, COM1 and COM2, an i8042, an RTC, pvpanic and the
 * given virtio-mmio devices.
 *
 * <p>What the registers must do for these tables to be true: PM1_CNT reads with SCI_EN set, since there is no SMI_CMD to
 * switch ACPI on; writing SLP_EN with {@link AcpiPm#SLP_TYP_S5} powers off; the fixed power button sets PWRBTN_STS and
 * raises {@link LegacyInterrupts#SCI} (level, active high) while it is enabled. {@link AcpiPm} and {@link ResetPort} are so.
 */
public final class AcpiTables {
    /** A table and its guest-physical address. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Placed(String name, long address, byte[] bytes) {}

    private static final int FACS_ALIGNMENT = 64;
    private static final int SIZEOF_RSDP = 36;
    private static final int SIZEOF_FACS = 64;

    private AcpiTables() {}

    /**
     * Writes the tables to {@link BootLayout#ACPI_ADDRESS}.
     *
     * @param cpus 1 to {@link Topology#MAX_VCPUS}; their APIC ids are 0 to cpus - 1
     * @param devices the virtio-mmio devices, in the order in which they are to be found
     * @return the RSDP's address
     * @throws IllegalArgumentException if the number of CPUs is out of range or the tables do not fit
     */
    public static long write(GuestMemory memory, int cpus, List<VirtioMmioDevice> devices) {
        for (Placed table : build(cpus, devices)) {
            memory.write(table.address, table.bytes, 0, table.bytes.length);
        }
        return BootLayout.ACPI_ADDRESS;
    }

    static List<Placed> build(int cpus, List<VirtioMmioDevice> devices) {
        if (cpus < 1 || cpus > Topology.MAX_VCPUS) {
            throw new IllegalArgumentException("ACPI tables for 1 to " + Topology.MAX_VCPUS + " CPUs, not " + cpus);
        }
        List<Placed> tables = new ArrayList<>();
        long facs = place(tables, "FACS", align(BootLayout.ACPI_ADDRESS + SIZEOF_RSDP, FACS_ALIGNMENT), facs());
        long dsdt = place(tables, "DSDT", end(tables), Dsdt.build(devices));
        long fadt = place(tables, "FACP", end(tables), fadt(facs, dsdt));
        long madt = place(tables, "APIC", end(tables), madt(cpus));
        long xsdt = place(tables, "XSDT", end(tables), xsdt(fadt, madt));
        if (end(tables) > BootLayout.ACPI_END) {
            throw new IllegalArgumentException(
                    devices.size() + " virtio-mmio devices: the ACPI tables have no room for them");
        }
        place(tables, "RSDP", BootLayout.ACPI_ADDRESS, rsdp(xsdt));
        return List.copyOf(tables);
    }

    private static long place(List<Placed> tables, String name, long address, byte[] bytes) {
        tables.add(new Placed(name, address, bytes));
        return address;
    }

    private static long end(List<Placed> tables) {
        Placed last = tables.get(tables.size() - 1);
        return align(last.address + last.bytes.length, 16);
    }

    private static long align(long value, int alignment) {
        return (value + alignment - 1) & -alignment;
    }

    /** Root System Description Pointer, revision 2 (section 5.2.5.3). There is no RSDT. */
    private static byte[] rsdp(long xsdt) {
        ByteBuffer rsdp = ByteBuffer.allocate(SIZEOF_RSDP).order(ByteOrder.LITTLE_ENDIAN);
        rsdp.put(0, AcpiTable.ascii("RSD PTR "))
                .put(9, AcpiTable.ascii(AcpiTable.OEM_ID))
                .put(15, (byte) 2);
        rsdp.putInt(20, SIZEOF_RSDP).putLong(24, xsdt);
        byte[] bytes = rsdp.array();
        bytes[8] = (byte) -AcpiTable.sum(bytes, 20);
        bytes[32] = (byte) -AcpiTable.sum(bytes, SIZEOF_RSDP);
        return bytes;
    }

    /** Extended System Description Table (section 5.2.8). */
    private static byte[] xsdt(long... tables) {
        AcpiTable xsdt = new AcpiTable("XSDT", 1, AcpiTable.SIZEOF_HEADER + 8 * tables.length);
        for (int i = 0; i < tables.length; i++) {
            xsdt.u64(AcpiTable.SIZEOF_HEADER + 8 * i, tables[i]);
        }
        return xsdt.finish();
    }

    /** Firmware ACPI Control Structure, version 2 (section 5.2.10); it has no checksum. */
    private static byte[] facs() {
        ByteBuffer facs = ByteBuffer.allocate(SIZEOF_FACS).order(ByteOrder.LITTLE_ENDIAN);
        facs.put(0, AcpiTable.ascii("FACS")).putInt(4, SIZEOF_FACS).put(32, (byte) 2);
        return facs.array();
    }

    /** Fixed ACPI Description Table, revision 6 (section 5.2.9). */
    private static byte[] fadt(long facs, long dsdt) {
        int flags = Fadt.WBINVD | Fadt.PROC_C1 | Fadt.SLP_BUTTON | Fadt.FIX_RTC | Fadt.RESET_REG_SUP;
        int bootArchitecture = Fadt.LEGACY_DEVICES | Fadt.I8042_PRESENT | Fadt.VGA_NOT_PRESENT;
        return new AcpiTable("FACP", 6, Fadt.SIZEOF)
                .u32(Fadt.FIRMWARE_CTRL, facs)
                .u32(Fadt.DSDT, dsdt)
                .u16(Fadt.SCI_INT, LegacyInterrupts.SCI)
                .u32(Fadt.PM1A_EVT_BLK, AcpiPm.PM1A_EVENT_PORT)
                .u32(Fadt.PM1A_CNT_BLK, AcpiPm.PM1A_CONTROL_PORT)
                .u8(Fadt.PM1_EVT_LEN, AcpiPm.PM1_EVENT_LENGTH)
                .u8(Fadt.PM1_CNT_LEN, AcpiPm.PM1_CONTROL_LENGTH)
                .u16(Fadt.P_LVL2_LAT, Fadt.NO_C2)
                .u16(Fadt.P_LVL3_LAT, Fadt.NO_C3)
                .u16(Fadt.IAPC_BOOT_ARCH, bootArchitecture)
                .u32(Fadt.FLAGS, flags)
                .ioPort(Fadt.RESET_REG, ResetPort.PORT, 1, 1)
                .u8(Fadt.RESET_VALUE, ResetPort.RESET_VALUE)
                .u64(Fadt.X_DSDT, dsdt)
                .ioPort(Fadt.X_PM1A_EVT_BLK, AcpiPm.PM1A_EVENT_PORT, AcpiPm.PM1_EVENT_LENGTH, 2)
                .ioPort(Fadt.X_PM1A_CNT_BLK, AcpiPm.PM1A_CONTROL_PORT, AcpiPm.PM1_CONTROL_LENGTH, 2)
                .bytes(Fadt.HYPERVISOR_VENDOR_IDENTITY, AcpiTable.ascii("THIMBLE"))
                .finish();
    }

    /** Multiple APIC Description Table, revision 4 (section 5.2.12). */
    private static byte[] madt(int cpus) {
        AcpiTable madt = new AcpiTable("APIC", 4, 44 + 8 * cpus + 12 + 2 * 10 + 6);
        madt.u32(36, BootLayout.LAPIC_ADDRESS).u32(40, 1); // PCAT_COMPAT: there are 8259s too
        int at = 44;
        for (int id = 0; id < cpus; id++, at += 8) { // Processor Local APIC: type 0, length 8, uid, id, u32 flags
            madt.u8(at, 0).u8(at + 1, 8).u8(at + 2, id).u8(at + 3, id).u32(at + 4, 1);
        }
        // I/O APIC: type 1, length 12, id, reserved, u32 address, u32 first GSI
        madt.u8(at, 1).u8(at + 1, 12).u8(at + 2, cpus).u32(at + 4, BootLayout.IOAPIC_ADDRESS);
        at += 12;
        // Interrupt Source Override: type 2, length 10, bus 0 (ISA), IRQ, u32 GSI, u16 flags (0: as ISA; 0xd: level,
        // high)
        madt.u8(at, 2).u8(at + 1, 10).u8(at + 3, 0).u32(at + 4, 2);
        at += 10;
        madt.u8(at, 2)
                .u8(at + 1, 10)
                .u8(at + 3, LegacyInterrupts.SCI)
                .u32(at + 4, LegacyInterrupts.SCI)
                .u16(at + 8, 0xd);
        at += 10;
        // Local APIC NMI: type 4, length 6, uid (0xff: all), u16 flags, LINT
        madt.u8(at, 4).u8(at + 1, 6).u8(at + 2, 0xff).u8(at + 5, 1);
        return madt.finish();
    }
}
