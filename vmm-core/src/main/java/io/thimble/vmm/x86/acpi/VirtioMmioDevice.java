package io.thimble.vmm.x86.acpi;

/**
 * A virtio-mmio device as the DSDT announces it ({@code LNRO0005}). Its interrupt is edge-triggered and active high: what
 * an irqfd delivers.
 *
 * @param address the registers' guest-physical address, below 4 GiB
 * @param size the registers' size in bytes
 * @param gsi the interrupt, 0 to 23
 */
public record VirtioMmioDevice(long address, long size, int gsi) {
    /** Checks the ranges. */
    public VirtioMmioDevice {
        if (address < 0
                || size <= 0
                || size > 0x1_0000_0000L - address
                || address > 0xffff_ffffL
                || gsi < 0
                || gsi > 23) {
            throw new IllegalArgumentException(
                    String.format("virtio-mmio device at 0x%x, size 0x%x, interrupt %d", address, size, gsi));
        }
    }
}
