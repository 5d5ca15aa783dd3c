package io.thimble.vmm.boot;

/**
 * A kernel in guest memory: all that the boot CPU's registers depend on, and where things went.
 *
 * @param mode the state in which the boot CPU starts
 * @param entryPoint the guest-physical address of the first instruction; with {@link EntryMode#REAL_16} the IP within
 *     {@code codeSegment}
 * @param codeSegment CS with {@link EntryMode#REAL_16}, else 0
 * @param bootInfoAddress the zero page ({@code LONG_64}, {@code PROTECTED_32}), the {@code hvm_start_info} ({@code
 *     PVH_32}), or 0 if the image gets none
 * @param kernelStart the guest-physical address of the image's first byte
 * @param kernelEnd the first address behind what the kernel uses before it looks at its memory map
 * @param initrdAddress the initrd's guest-physical address, 0 if there is none
 * @param initrdSize the initrd's size in bytes, 0 if there is none
 */
public record LoadedKernel(
        EntryMode mode,
        long entryPoint,
        int codeSegment,
        long bootInfoAddress,
        long kernelStart,
        long kernelEnd,
        long initrdAddress,
        long initrdSize) {
    @Override
    public String toString() {
        return String.format(
                "LoadedKernel[%s entry 0x%x, kernel 0x%x-0x%x, boot information 0x%x, initrd 0x%x+0x%x]",
                mode, entryPoint, kernelStart, kernelEnd, bootInfoAddress, initrdAddress, initrdSize);
    }
}
