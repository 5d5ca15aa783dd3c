package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;

/**
 * An image that can be booted: its headers are read and checked, its contents still in the file. To be closed. Not for
 * use by several threads at once.
 */
public sealed interface KernelImage extends Closeable permits ElfKernel, BzImage, RawKernel, FlatBinary {
    /**
     * Opens a kernel and tells its format by its contents; unpacks it if it is compressed as a whole.
     *
     * @throws KernelImageException if it is damaged, of a kind that cannot be booted, or compressed without a decoder for it
     * @throws BootException if there is no such file
     */
    static KernelImage open(Path path) throws IOException {
        return KernelOpener.open(path, false);
    }

    /**
     * Likewise, and takes the ELF kernel out of a bzImage, which is then entered without the bzImage's own decompressor.
     *
     * @throws KernelImageException likewise
     * @throws BootException likewise
     */
    static KernelImage openUnpacked(Path path) throws IOException {
        return KernelOpener.open(path, true);
    }

    /** Returns the guest-physical address of the image's first byte. */
    long start();

    /** Returns the first address behind what the kernel uses before it looks at its memory map. */
    long end();

    /** Returns how many characters of command line the kernel takes, without the zero byte; 0 if it takes none. */
    int maxCommandLineLength();

    /** Returns the highest address that an initrd's last byte may have. */
    long initrdAddressMax();

    /**
     * Reads the image's contents into guest memory.
     *
     * @param memoryIsZero whether all of guest memory is known to be zero (a fresh anonymous mapping): then what the image
     *     wants cleared is not touched
     * @throws InsufficientMemoryException if the image reaches beyond guest memory
     * @throws KernelImageException if the file was truncated meanwhile
     */
    void load(GuestMemory memory, boolean memoryIsZero) throws IOException;

    /** Returns what the image was unpacked from on the host, such as {@code xz}; empty if it lay in the file as it is. */
    String packing();

    /** Returns the format, the addresses and the entry, in one line. */
    String describe();
}
