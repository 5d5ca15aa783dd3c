package io.thimble.virtio.balloon;

import io.thimble.linux.Syscall;
import io.thimble.linux.abi.MmanConstants;
import io.thimble.linux.abi.Syscalls;
import io.thimble.memory.GuestMemory;
import io.thimble.memory.SegmentConsumer;

/**
 * Gives pages of guest memory back to the host (madvise(2), {@code MADV_DONTNEED}): they read as zeros when the guest touches them
 * again. Neighbours that come one after the other go in one call, since the kernel splits a huge page for each part of one that is
 * taken. Only whole pages of guest memory are touched, whatever the driver says.
 *
 * <p>For private anonymous memory, which is what guests have here. On the loop's thread.
 */
final class PageReleaser {
    private static final long PAGE = GuestMemory.PAGE_SIZE;

    private final GuestMemory memory;
    private final SegmentConsumer release = this::release;
    private long start;
    private long end;
    private long released;
    private long refused;

    PageReleaser(GuestMemory memory) {
        this.memory = memory;
    }

    /** Adds one page to what is to go. */
    void addPage(long address) {
        if (start < end && address == end) {
            end += PAGE;
        } else if (start < end && address == start - PAGE) {
            start -= PAGE; // Linux fills its balloon from high addresses down
        } else {
            flush();
            start = address;
            end = address + PAGE;
        }
    }

    /** Adds the whole pages of a range to what is to go. */
    void addRange(long address, long length) {
        flush();
        start = (address + PAGE - 1) & -PAGE;
        end = (address + length) & -PAGE;
        flush();
    }

    /** Gives back what was added. */
    void flush() {
        long length = end - start;
        if (length > 0) {
            if (memory.contains(start, length)) {
                int _ = memory.translateForWriting(start, length, release);
            } else {
                refused += length / PAGE;
            }
        }
        start = 0;
        end = 0;
    }

    private void release(long address, long length) {
        long result = Syscall.call(Syscalls.SYS_madvise, address, length, MmanConstants.MADV_DONTNEED);
        if (result == 0) {
            released += length / PAGE;
        } else {
            refused += length / PAGE;
        }
    }

    /** Returns how many pages went back so far. */
    long released() {
        return released;
    }

    /** Returns how many pages were named that are not the guest's, or that the host did not take. */
    long refused() {
        return refused;
    }
}
