package io.thimble.vmm;

import io.thimble.linux.SharedLibrary;
import io.thimble.vmm.boot.Krunfw;
import java.nio.file.Path;
import java.util.Optional;

/**
 * What a VM starts: the bundled Linux, another Linux kernel, or a flat program.
 *
 * <p>A file may be compressed by gzip, xz, lzma, zstd or lz4; all but gzip need the module {@code decoders}, which
 * {@code io.thimble:microvm} brings.
 */
public sealed interface GuestKernel {

    /** Returns the kernel that comes with Thimble; found through {@link io.thimble.vmm.spi.BundledGuest}. */
    static GuestKernel bundled() {
        return new Bundled();
    }

    /**
     * Returns a kernel in a file: an ELF {@code vmlinux} (entered by Linux's 64-bit protocol) or a bzImage, which unpacks
     * itself inside the VM.
     */
    static GuestKernel file(Path path) {
        return new LinuxFile(path, Entry.AS_IT_IS);
    }

    /**
     * Returns a kernel in a file like {@link #file}; of a bzImage, the ELF kernel inside is unpacked on the host and entered
     * by Linux's 64-bit protocol. That spares the bzImage's own decompressor, which takes half a minute where KVM emulates
     * the start (kvm-pvm).
     */
    static GuestKernel unpacked(Path path) {
        return new LinuxFile(path, Entry.UNPACKED);
    }

    /** Returns a kernel in a file, an ELF kernel or one inside a bzImage, entered by its PVH entry point. */
    static GuestKernel pvh(Path path) {
        return new LinuxFile(path, Entry.PVH);
    }

    /**
     * Returns a Linux kernel without headers, entered by Linux's 64-bit protocol.
     *
     * @param path its bytes as they are to lie in memory
     * @param loadAddress guest-physical address of the first byte: a multiple of 4 KiB from 1 MiB to 3 GiB
     * @param entryPoint guest-physical address of the 64-bit entry point, inside the image
     * @param traits what this kernel can
     */
    static GuestKernel raw(Path path, long loadAddress, long entryPoint, KernelTraits traits) {
        return new RawFile(path, loadAddress, entryPoint, traits);
    }

    /**
     * Returns the kernel of libkrunfw (Debian: package {@code libkrunfw5}), found where the dynamic linker looks. It has a
     * console only where there is a virtio console: {@link KernelTraits#KRUNFW}.
     */
    static GuestKernel krunfw() {
        return new KrunfwLibrary(Optional.empty());
    }

    /**
     * Returns the kernel of a given libkrunfw.
     *
     * @param library the shared library's file
     */
    static GuestKernel krunfw(Path library) {
        return new KrunfwLibrary(Optional.of(library));
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

    /** Returns libkrunfw's file, if it is in a directory of {@code LD_LIBRARY_PATH} or in a usual one; does not load it. */
    static Optional<Path> findKrunfw() {
        return SharedLibrary.find(Krunfw.LIBRARY);
    }

    /** The kernel that comes with Thimble. */
    record Bundled() implements GuestKernel {}

    /** How a kernel in a file is entered. */
    enum Entry {
        /** An ELF file by Linux's 64-bit protocol, a bzImage by its own entry. */
        AS_IT_IS,
        /** An ELF file, or the one inside a bzImage, by Linux's 64-bit protocol. */
        UNPACKED,
        /** An ELF file, or the one inside a bzImage, by PVH. */
        PVH
    }

    /**
     * A Linux kernel in a file.
     *
     * @param path of the kernel
     * @param entry how it is entered
     */
    record LinuxFile(Path path, Entry entry) implements GuestKernel {}

    /**
     * A Linux kernel without headers.
     *
     * @param path of its bytes
     * @param loadAddress where they are loaded
     * @param entryPoint where they are entered
     * @param kernelTraits what it can
     */
    record RawFile(Path path, long loadAddress, long entryPoint, KernelTraits kernelTraits) implements GuestKernel {}

    /**
     * libkrunfw's kernel.
     *
     * @param library the shared library; empty to look for it
     */
    record KrunfwLibrary(Optional<Path> library) implements GuestKernel {}

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
        return !(this instanceof RealMode || this instanceof Flat);
    }

    /** Returns what is known of the kernel before it is started. */
    default KernelTraits traits() {
        return switch (this) {
            case RawFile raw -> raw.kernelTraits;
            case KrunfwLibrary _ -> KernelTraits.KRUNFW;
            default -> KernelTraits.USUAL;
        };
    }
}
