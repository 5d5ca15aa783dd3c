package io.thimble.vmm.machine;

import io.thimble.kvm.KvmVm;
import io.thimble.linux.HostMemory;
import io.thimble.linux.LinuxException;
import io.thimble.linux.Mman;
import io.thimble.linux.abi.MmanConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.boot.BootLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The guest's RAM: anonymous memory from address 0 to the PCI hole and, for what does not fit there, from 4 GiB on; one
 * mapping and one memory slot each.
 *
 * <p>{@link #close} unmaps; it comes after the vCPU threads have ended and the VM is closed.
 */
final class GuestRam implements AutoCloseable {
    private static final long HUGE_PAGE = 2L << 20;

    private final Arena arena = Arena.ofShared();
    private final GuestMemory memory;

    /**
     * Maps the memory.
     *
     * @param size in bytes
     * @param hugePages whether to advise the kernel to use huge pages; where it has none that is no error
     * @param prefault whether to take all pages from the host now
     * @throws MicroVmException if the host has not so much
     */
    GuestRam(long size, boolean hugePages, boolean prefault) {
        if (prefault) {
            checkAvailable(size);
        }
        try {
            List<MemoryRegion> regions = new ArrayList<>();
            long low = Math.min(size, BootLayout.PCI_HOLE_ADDRESS);
            regions.add(new MemoryRegion(0, map(low, hugePages, prefault)));
            if (size > low) {
                regions.add(new MemoryRegion(BootLayout.PCI_HOLE_END, map(size - low, hugePages, prefault)));
            }
            memory = GuestMemory.of(regions);
        } catch (LinuxException e) {
            arena.close();
            throw new MicroVmException(
                    Problem.MEMORY,
                    "guest memory of " + (size >> 20) + " MiB: " + e.getMessage()
                            + " - give the guest less, or the host more (sysctl vm.overcommit_memory, cgroup limit)",
                    e);
        }
    }

    /** Taking more than there is would not fail: the kernel would kill a process, likely this one. */
    private void checkAvailable(long size) {
        long available = HostMemory.available();
        if (size > available) {
            arena.close();
            throw new MicroVmException(
                    Problem.MEMORY,
                    "guest memory of " + (size >> 20) + " MiB, to be taken at once, but the host has only "
                            + (available >> 20) + " MiB available - give the guest less, or do not prefault");
        }
    }

    /** Maps memory whose address is a multiple of a huge page, as the guest-physical address is: KVM needs both. */
    private MemorySegment map(long length, boolean hugePages, boolean prefault) {
        MemorySegment mapping = Mman.anonymous(arena, length + HUGE_PAGE);
        // Keeps the guest's memory, which is large and not ours to publish, out of core dumps of the JVM.
        long _ = Mman.advise(mapping, MmanConstants.MADV_DONTDUMP);
        long skip = -mapping.address() & (HUGE_PAGE - 1);
        MemorySegment region = mapping.asSlice(skip, length);
        if (hugePages) {
            long _ = Mman.advise(region, MmanConstants.MADV_HUGEPAGE);
        }
        if (prefault) {
            LinuxException.check(
                    "madvise(MADV_POPULATE_WRITE) of " + length + " bytes",
                    Mman.advise(region, MmanConstants.MADV_POPULATE_WRITE));
        }
        return region;
    }

    GuestMemory memory() {
        return memory;
    }

    /** Gives the memory to a VM, a slot for each region. */
    void addTo(KvmVm vm) {
        int slot = 0;
        for (MemoryRegion region : memory.regions()) {
            vm.setUserMemoryRegion(
                    slot++,
                    0,
                    region.guestAddress(),
                    region.segment().byteSize(),
                    region.segment().address());
        }
    }

    @Override
    public void close() {
        arena.close();
    }
}
