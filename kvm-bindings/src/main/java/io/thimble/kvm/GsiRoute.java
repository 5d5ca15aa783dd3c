package io.thimble.kvm;

import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmIrqRoutingEntryLayout;
import io.thimble.kvm.abi.KvmIrqRoutingIrqchipLayout;
import io.thimble.kvm.abi.KvmIrqRoutingLayout;
import io.thimble.kvm.abi.KvmIrqRoutingMsiLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Where a global system interrupt goes: {@code struct kvm_irq_routing_entry}. */
public sealed interface GsiRoute {
    /** Returns the global system interrupt that this route is for. */
    int gsi();

    /**
     * To a pin of an interrupt controller in the kernel.
     *
     * @param gsi the interrupt
     * @param irqchip {@code KVM_IRQCHIP_PIC_MASTER}, {@code KVM_IRQCHIP_PIC_SLAVE} or {@code KVM_IRQCHIP_IOAPIC}
     * @param pin of that controller
     */
    record Pin(int gsi, int irqchip, int pin) implements GsiRoute {}

    /**
     * To a message-signalled interrupt.
     *
     * @param gsi the interrupt
     * @param address the message's address
     * @param data the message's data
     */
    record Msi(int gsi, long address, int data) implements GsiRoute {}

    /** Encodes {@code routes} as {@code struct kvm_irq_routing}. */
    static MemorySegment encode(Arena arena, List<GsiRoute> routes) {
        MemorySegment table = arena.allocate(
                KvmIrqRoutingLayout.OFFSETOF_ENTRIES + routes.size() * KvmIrqRoutingEntryLayout.SIZEOF, Long.BYTES);
        table.set(ValueLayout.JAVA_INT, KvmIrqRoutingLayout.OFFSETOF_NR, routes.size());
        for (int i = 0; i < routes.size(); i++) {
            MemorySegment entry = table.asSlice(
                    KvmIrqRoutingLayout.OFFSETOF_ENTRIES + i * KvmIrqRoutingEntryLayout.SIZEOF,
                    KvmIrqRoutingEntryLayout.SIZEOF);
            entry.set(
                    ValueLayout.JAVA_INT,
                    KvmIrqRoutingEntryLayout.OFFSETOF_GSI,
                    routes.get(i).gsi());
            long u = KvmIrqRoutingEntryLayout.OFFSETOF_U;
            switch (routes.get(i)) {
                case Pin pin -> {
                    entry.set(
                            ValueLayout.JAVA_INT,
                            KvmIrqRoutingEntryLayout.OFFSETOF_TYPE,
                            KvmConstants.KVM_IRQ_ROUTING_IRQCHIP);
                    entry.set(ValueLayout.JAVA_INT, u + KvmIrqRoutingIrqchipLayout.OFFSETOF_IRQCHIP, pin.irqchip);
                    entry.set(ValueLayout.JAVA_INT, u + KvmIrqRoutingIrqchipLayout.OFFSETOF_PIN, pin.pin);
                }
                case Msi msi -> {
                    entry.set(
                            ValueLayout.JAVA_INT,
                            KvmIrqRoutingEntryLayout.OFFSETOF_TYPE,
                            KvmConstants.KVM_IRQ_ROUTING_MSI);
                    entry.set(ValueLayout.JAVA_INT, u + KvmIrqRoutingMsiLayout.OFFSETOF_ADDRESS_LO, (int) msi.address);
                    entry.set(ValueLayout.JAVA_INT, u + KvmIrqRoutingMsiLayout.OFFSETOF_ADDRESS_HI, (int)
                            (msi.address >>> 32));
                    entry.set(ValueLayout.JAVA_INT, u + KvmIrqRoutingMsiLayout.OFFSETOF_DATA, msi.data);
                }
            }
        }
        return table;
    }
}
