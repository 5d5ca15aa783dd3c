package io.thimble.vmm.x86.mptable;

import io.thimble.memory.GuestMemory;
import io.thimble.vmm.boot.BootLayout;
import io.thimble.vmm.x86.LegacyInterrupts;
import io.thimble.vmm.x86.Topology;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Writes the MP floating pointer and the MP configuration table (MultiProcessor Specification 1.4, sections 4.1 to 4.3):
 * CPUs, an ISA bus, one IOAPIC with 24 inputs. It says the same as the ACPI tables: IRQ 0 is at input 2, the SCI (9) is
 * level-triggered and active high, everything else is edge-triggered at the input of its number.
 */
public final class MpTable {
    private static final int SIZEOF_FLOATING_POINTER = 16;
    private static final int SIZEOF_HEADER = 44;
    private static final int SIZEOF_PROCESSOR = 20;
    private static final int SIZEOF_OTHER = 8;
    private static final int IOAPIC_INPUTS = 24;
    private static final byte SPECIFICATION_1_4 = 4;

    private static final byte ENTRY_PROCESSOR = 0;
    private static final byte ENTRY_BUS = 1;
    private static final byte ENTRY_IOAPIC = 2;
    private static final byte ENTRY_IO_INTERRUPT = 3;
    private static final byte ENTRY_LOCAL_INTERRUPT = 4;

    private static final byte CPU_ENABLED = 1;
    private static final byte CPU_BOOT = 2;
    private static final byte LAPIC_VERSION = 0x14;
    private static final byte IOAPIC_VERSION = 0x11;
    /** Family 6; kernels ask CPUID instead. */
    private static final int CPU_SIGNATURE = 0x600;
    /** CPUID.1:EDX: APIC and FPU. */
    private static final int CPU_FEATURES = 0x201;

    private static final byte INTERRUPT_INT = 0;
    private static final byte INTERRUPT_NMI = 1;
    private static final byte INTERRUPT_EXTINT = 3;
    /** Polarity and trigger as the bus has them: for ISA active high and edge. */
    private static final short AS_THE_BUS = 0;

    private static final short LEVEL_ACTIVE_HIGH = 0b1101;
    private static final int TIMER_INPUT = 2;
    private static final byte ALL_LAPICS = (byte) 0xff;

    private MpTable() {}

    /**
     * Writes the floating pointer to {@link BootLayout#MP_FLOATING_POINTER_ADDRESS}, and the table that it points to to
     * {@link BootLayout#MP_TABLE_ADDRESS}.
     *
     * @param cpus 1 to {@link Topology#MAX_VCPUS}; their APIC ids are 0 to cpus - 1, and 0 is the boot CPU
     * @return the first address behind the tables
     * @throws IllegalArgumentException if the number of CPUs is out of range
     */
    public static long write(GuestMemory memory, int cpus) {
        if (cpus < 1 || cpus > Topology.MAX_VCPUS) {
            throw new IllegalArgumentException("An MP table for 1 to " + Topology.MAX_VCPUS + " CPUs, not " + cpus);
        }
        long tableAddress = BootLayout.MP_TABLE_ADDRESS;
        byte[] pointer = floatingPointer(tableAddress);
        byte[] table = table(cpus);
        memory.write(BootLayout.MP_FLOATING_POINTER_ADDRESS, pointer, 0, pointer.length);
        memory.write(tableAddress, table, 0, table.length);
        return tableAddress + table.length;
    }

    /** {@code "_MP_", u32 table, u8 length in 16 bytes, u8 spec_rev, u8 checksum, u8 features[5]}: all 0 = a table. */
    private static byte[] floatingPointer(long tableAddress) {
        ByteBuffer pointer = ByteBuffer.allocate(SIZEOF_FLOATING_POINTER).order(ByteOrder.LITTLE_ENDIAN);
        pointer.put(ascii("_MP_")).putInt((int) tableAddress).put((byte) 1).put(SPECIFICATION_1_4);
        return withChecksum(pointer.array(), 10);
    }

    private static byte[] table(int cpus) {
        int interrupts = IOAPIC_INPUTS - 1; // input 0 is not connected
        int size = SIZEOF_HEADER + cpus * SIZEOF_PROCESSOR + (2 + interrupts + 2) * SIZEOF_OTHER;
        int entries = cpus + 2 + interrupts + 2;
        byte ioapicId = (byte) cpus;
        ByteBuffer table = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        // "PCMP", u16 length, spec_rev, checksum, oem[8], product[12], u32 oem_table, u16 oem_size, u16 entries, u32
        // lapic
        table.put(ascii("PCMP")).putShort((short) size).put(SPECIFICATION_1_4).put((byte) 0);
        table.put(ascii("THIMBLE ")).put(ascii("MICROVM     ")).putInt(0).putShort((short) 0);
        table.putShort((short) entries).putInt((int) BootLayout.LAPIC_ADDRESS).putInt(0);
        for (int id = 0; id < cpus; id++) {
            // type, apic_id, apic_version, flags, u32 signature, u32 features, u32 reserved[2]
            table.put(ENTRY_PROCESSOR).put((byte) id).put(LAPIC_VERSION);
            table.put(id == 0 ? CPU_ENABLED | CPU_BOOT : CPU_ENABLED);
            table.putInt(CPU_SIGNATURE).putInt(CPU_FEATURES).putLong(0);
        }
        table.put(ENTRY_BUS).put((byte) 0).put(ascii("ISA   "));
        table.put(ENTRY_IOAPIC).put(ioapicId).put(IOAPIC_VERSION).put((byte) 1).putInt((int) BootLayout.IOAPIC_ADDRESS);
        for (int input = 1; input < IOAPIC_INPUTS; input++) {
            int irq = input == TIMER_INPUT ? 0 : input;
            short flags = irq == LegacyInterrupts.SCI ? LEVEL_ACTIVE_HIGH : AS_THE_BUS;
            interrupt(table, ENTRY_IO_INTERRUPT, INTERRUPT_INT, flags, irq, ioapicId, input);
        }
        interrupt(table, ENTRY_LOCAL_INTERRUPT, INTERRUPT_EXTINT, AS_THE_BUS, 0, (byte) 0, 0);
        interrupt(table, ENTRY_LOCAL_INTERRUPT, INTERRUPT_NMI, AS_THE_BUS, 0, ALL_LAPICS, 1);
        return withChecksum(table.array(), 7);
    }

    /** {@code u8 type, u8 interrupt_type, u16 flags, u8 bus, u8 bus_irq, u8 apic, u8 input}. */
    private static void interrupt(ByteBuffer table, byte entry, byte type, short flags, int irq, byte apic, int input) {
        table.put(entry)
                .put(type)
                .putShort(flags)
                .put((byte) 0)
                .put((byte) irq)
                .put(apic)
                .put((byte) input);
    }

    /** Sets the checksum, which is 0 so far, to what makes the sum of all bytes 0. */
    private static byte[] withChecksum(byte[] bytes, int offset) {
        int sum = 0;
        for (byte b : bytes) {
            sum += b;
        }
        bytes[offset] = (byte) -sum;
        return bytes;
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
