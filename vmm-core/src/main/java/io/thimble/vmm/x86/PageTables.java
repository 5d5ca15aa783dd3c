package io.thimble.vmm.x86;

import io.thimble.memory.GuestMemory;
import io.thimble.vmm.boot.BootLayout;

/** The page tables that the boot CPU enters long mode with: the first 4 GiB one to one, in 2 MiB pages. */
final class PageTables {
    private static final long PRESENT_WRITABLE = 0x3;
    private static final long PAGE_SIZE_2M = 1 << 7;
    private static final long BYTES_2M = 2 << 20;
    private static final int DIRECTORIES = 4;
    private static final int ENTRIES = 512;

    private PageTables() {}

    static void writeIdentityMap(GuestMemory memory) {
        memory.putLong(BootLayout.PML4_ADDRESS, BootLayout.PDPT_ADDRESS | PRESENT_WRITABLE);
        for (int d = 0; d < DIRECTORIES; d++) {
            long directory = BootLayout.PD_ADDRESS + d * GuestMemory.PAGE_SIZE;
            memory.putLong(BootLayout.PDPT_ADDRESS + (long) d * Long.BYTES, directory | PRESENT_WRITABLE);
            for (int e = 0; e < ENTRIES; e++) {
                long page = ((long) d * ENTRIES + e) * BYTES_2M;
                memory.putLong(directory + (long) e * Long.BYTES, page | PRESENT_WRITABLE | PAGE_SIZE_2M);
            }
        }
    }
}
