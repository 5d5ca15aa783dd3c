package io.thimble.vmm;

/**
 * What a Linux kernel can, as far as the machine has to know it: by which means it finds its hardware and where it prints.
 *
 * @param acpi whether it reads ACPI tables. Without, it finds its CPUs by the MP table and virtio-mmio devices on its command line
 *     ({@code virtio_mmio.device=}), and cannot be asked to power off by a button
 * @param serialConsole whether it has a driver for the serial port; without, its console is the virtio console ({@code hvc0})
 * @param initrd whether it takes an initial RAM disk; without, a disk behind all others has the same files, and is its root file system
 */
public record KernelTraits(boolean acpi, boolean serialConsole, boolean initrd) {
    /** Distributions' kernels and most others: ACPI, a serial console. */
    public static final KernelTraits USUAL = new KernelTraits(true, true, true);

    /** libkrunfw's: no ACPI, no serial port, no initial RAM disk. */
    public static final KernelTraits KRUNFW = new KernelTraits(false, false, false);

    /** Returns the console's name as the kernel parameter {@code console=} has it. */
    public String consoleName() {
        return serialConsole ? "ttyS0" : "hvc0";
    }
}
