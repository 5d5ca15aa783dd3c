package io.thimble.vmm;

import java.nio.file.Path;

/** What a VM starts: the bundled Linux, another Linux kernel, or a flat program. */
public sealed interface GuestKernel {

    /** Returns the kernel that comes with Thimble; found through {@link io.thimble.vmm.spi.BundledGuest}. */
    static GuestKernel bundled() {
        return new Bundled();
    }

    /** Returns a kernel in a file: an ELF {@code vmlinux} (entered by Linux's 64-bit protocol) or a bzImage. */
    static GuestKernel file(Path path) {
        return new LinuxFile(path, false);
    }

    /** Returns an ELF kernel in a file, entered by its PVH entry point. */
    static GuestKernel pvh(Path path) {
        return new LinuxFile(path, true);
    }

    /**
     * Returns a flat program that starts in 16-bit real mode.
     *
     * @param path its bytes, loaded at {@code codeSegment * 16}
     * @param codeSegment CS, 0..0xffff
     * @param instructionPointer IP, 0..0xffff
     */
    static GuestKernel realMode(Path path, int codeSegment, int instructionPointer) {
        return new RealMode(path, codeSegment, instructionPointer);
    }

    /**
     * Returns a flat program that starts in 32-bit protected mode, without paging, with flat segments.
     *
     * @param path its bytes, loaded at and entered at {@code address}
     * @param address guest-physical, from 0x1000
     */
    static GuestKernel protectedMode(Path path, long address) {
        return new Flat(path, address, false);
    }

    /**
     * Returns a flat program that starts in 64-bit long mode, with the first 4 GiB mapped one to one.
     *
     * @param path its bytes, loaded at and entered at {@code address}
     * @param address guest-physical, from 0x1000
     */
    static GuestKernel longMode(Path path, long address) {
        return new Flat(path, address, true);
    }

    /** The kernel that comes with Thimble. */
    record Bundled() implements GuestKernel {}

    /**
     * A Linux kernel in a file.
     *
     * @param path of the kernel
     * @param pvh whether to enter it by PVH
     */
    record LinuxFile(Path path, boolean pvh) implements GuestKernel {}

    /**
     * A flat program in real mode.
     *
     * @param path of its bytes
     * @param codeSegment CS
     * @param instructionPointer IP
     */
    record RealMode(Path path, int codeSegment, int instructionPointer) implements GuestKernel {}

    /**
     * A flat program in protected or long mode.
     *
     * @param path of its bytes
     * @param address where it is loaded and entered
     * @param longMode whether in 64-bit mode
     */
    record Flat(Path path, long address, boolean longMode) implements GuestKernel {}

    /** Tells whether this is a Linux kernel, with a command line and an initial RAM disk. */
    default boolean isLinux() {
        return this instanceof Bundled || this instanceof LinuxFile;
    }
}
