package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;

/** How much memory a guest must have at least, worked out from its images before any memory is mapped. */
public final class MemoryNeeds {
    /**
     * What Linux takes besides its image and its initrd before init runs: page structures, per-CPU areas, slabs, the
     * first process.
     */
    static final long LINUX_RESERVE = 8L << 20;

    private MemoryNeeds() {}

    /**
     * Returns the least amount of guest memory in bytes: up to the kernel's end, twice the initrd (Linux unpacks it before
     * it frees it) and a reserve, rounded up to a MiB. For a flat binary, up to its end.
     *
     * @param initrdSize in bytes
     */
    public static long minimum(KernelImage image, long initrdSize) {
        if (image instanceof FlatBinary) {
            return image.end();
        }
        long bytes = image.end() + 2 * initrdSize + LINUX_RESERVE;
        return (bytes + (1 << 20) - 1) >>> 20 << 20;
    }

    /**
     * Checks an amount of memory.
     *
     * @param memorySize what the guest is to have, in bytes
     * @throws InsufficientMemoryException if that is less than {@link #minimum}
     */
    public static void check(KernelImage image, long initrdSize, long memorySize) throws InsufficientMemoryException {
        long minimum = minimum(image, initrdSize);
        if (memorySize < minimum) {
            throw new InsufficientMemoryException(
                    initrdSize == 0 ? "The kernel" : "The kernel with its initrd", minimum, memorySize);
        }
    }

    /** Returns the end of the RAM that goes on without a hole from address 0; 0 if there is none at 0. */
    static long endOfLowRam(GuestMemory memory) {
        long end = 0;
        for (MemoryRegion region : memory.regions()) {
            if (region.guestAddress() != end) {
                break;
            }
            end = region.endAddress();
        }
        return end;
    }
}
