package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory map that the kernel is given, as int 15h function E820 would give it (ACPI specification 6.5, section 15).
 *
 * @param entries by ascending address, not overlapping
 */
public record E820(List<Entry> entries) {
    /** Usable RAM. */
    public static final int TYPE_RAM = 1;
    /** Not to be used. */
    public static final int TYPE_RESERVED = 2;

    /**
     * One range.
     *
     * @param address the guest-physical address
     * @param size in bytes
     * @param type {@link #TYPE_RAM} or {@link #TYPE_RESERVED}
     */
    public record Entry(long address, long size, int type) {}

    /** Copies the list. */
    public E820 {
        entries = List.copyOf(entries);
    }

    /** Returns the map of a machine laid out as in {@link BootLayout}: all RAM but 0x9fc00-0xfffff, which is reserved. */
    public static E820 of(GuestMemory memory) {
        List<Entry> entries = new ArrayList<>();
        for (MemoryRegion region : memory.regions()) {
            addRam(entries, region.guestAddress(), Math.min(region.endAddress(), BootLayout.LOW_RAM_END));
            if (region.guestAddress() <= BootLayout.LOW_RAM_END && region.endAddress() > BootLayout.LOW_RAM_END) {
                entries.add(new Entry(
                        BootLayout.LOW_RAM_END,
                        BootLayout.HIGH_MEMORY_ADDRESS - BootLayout.LOW_RAM_END,
                        TYPE_RESERVED));
            }
            addRam(entries, Math.max(region.guestAddress(), BootLayout.HIGH_MEMORY_ADDRESS), region.endAddress());
        }
        return new E820(entries);
    }

    private static void addRam(List<Entry> entries, long start, long end) {
        if (start < end) {
            entries.add(new Entry(start, end - start, TYPE_RAM));
        }
    }
}
