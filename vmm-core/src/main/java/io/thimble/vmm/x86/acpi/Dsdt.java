package io.thimble.vmm.x86.acpi;

import io.thimble.vmm.legacy.AcpiPm;
import io.thimble.vmm.legacy.CmosRtc;
import io.thimble.vmm.legacy.I8042;
import io.thimble.vmm.legacy.Pvpanic;
import io.thimble.vmm.legacy.Serial16550;
import io.thimble.vmm.x86.LegacyInterrupts;
import java.util.List;

/** The Differentiated System Description Table: devices that a kernel cannot find by itself, and the sleep state S5. */
final class Dsdt {
    private Dsdt() {}

    static byte[] build(List<VirtioMmioDevice> virtio) {
        byte[][] mmio = new byte[virtio.size()][];
        for (int i = 0; i < mmio.length; i++) {
            mmio[i] = virtioMmio(i, virtio.get(i));
        }
        byte[] aml = Aml.concat(
                // SLP_TYP for PM1a and PM1b, two reserved values
                Aml.name(
                        "_S5_",
                        Aml.packageOf(
                                Aml.integer(AcpiPm.SLP_TYP_S5),
                                Aml.integer(AcpiPm.SLP_TYP_S5),
                                Aml.integer(0),
                                Aml.integer(0))),
                Aml.scope(
                        "_SB_",
                        serial("COM1", 1, Serial16550.COM1_PORT, LegacyInterrupts.COM1),
                        serial("COM2", 2, Serial16550.COM2_PORT, LegacyInterrupts.COM2),
                        device(
                                "KBD_",
                                "PNP0303",
                                Aml.io(I8042.I8042_DATA_REG, 1),
                                Aml.io(I8042.I8042_COMMAND_REG, 1),
                                Aml.irqNoFlags(LegacyInterrupts.KEYBOARD)),
                        device(
                                "RTC_",
                                "PNP0B00",
                                Aml.io(CmosRtc.RTC_PORT, CmosRtc.LENGTH),
                                Aml.irqNoFlags(LegacyInterrupts.RTC)),
                        pvpanic(),
                        Aml.concat(mmio)));
        AcpiTable table = new AcpiTable("DSDT", 2, AcpiTable.SIZEOF_HEADER + aml.length);
        return table.bytes(AcpiTable.SIZEOF_HEADER, aml).finish();
    }

    private static byte[] device(String name, String eisaId, byte[]... resources) {
        return Aml.device(
                name, Aml.name("_HID", Aml.eisaId(eisaId)), Aml.name("_CRS", Aml.resourceTemplate(resources)));
    }

    private static byte[] serial(String name, int uid, int port, int irq) {
        return Aml.device(
                name,
                Aml.name("_HID", Aml.eisaId("PNP0501")),
                Aml.name("_UID", Aml.integer(uid)),
                Aml.name("_CRS", Aml.resourceTemplate(Aml.io(port, 8), Aml.irqNoFlags(irq))));
    }

    /** QEMU's docs/specs/pvpanic.rst; {@code _STA} says present, enabled, functioning, and hidden from users. */
    private static byte[] pvpanic() {
        return Aml.device(
                "PEVT",
                Aml.name("_HID", Aml.string("QEMU0001")),
                Aml.name("_STA", Aml.integer(0b1011)),
                Aml.name("_CRS", Aml.resourceTemplate(Aml.io(Pvpanic.PORT, Pvpanic.LENGTH))));
    }

    private static byte[] virtioMmio(int index, VirtioMmioDevice device) {
        return Aml.device(
                String.format("V%03X", index),
                Aml.name("_HID", Aml.string("LNRO0005")),
                Aml.name("_UID", Aml.integer(index)),
                Aml.name(
                        "_CRS",
                        Aml.resourceTemplate(
                                Aml.memory32Fixed(device.address(), device.size()), Aml.edgeInterrupt(device.gsi()))));
    }
}
