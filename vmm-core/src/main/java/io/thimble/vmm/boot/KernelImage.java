package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;

/**
 * An image that can be booted: its headers are read and checked, its contents still in the file. To be closed. Not for
 * use by several threads at once.
 */
public sealed interface KernelImage extends Closeable permits ElfKernel, BzImage, FlatBinary {
    /**
     * Opens a kernel and tells its format by its contents.
     *
     * @throws KernelImageException if it is damaged or of a kind that cannot be booted
     * @throws BootException if there is no such file
     */
    static KernelImage open(Path path) throws IOException {
        BootFile file = BootFile.open(path, "kernel");
        try {
            int length = (int) Math.min(file.size(), KernelFormat.BYTES_TO_DETECT);
            KernelFormat format = KernelFormat.detect(file.read(0, length).array());
            KernelImage image = switch (format) {
                case ELF -> ElfKernel.read(file);
                case BZIMAGE -> BzImage.read(file);
                default -> throw new KernelImageException(path, "the kernel is " + format.description());
            };
            file = null;
            return image;
        } finally {
            if (file != null) {
                file.close();
            }
        }
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

    /** Returns the format, the addresses and the entry, in one line. */
    String describe();
}
