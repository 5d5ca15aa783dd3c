package io.thimble.vmm.boot;

import java.io.IOException;
import java.nio.channels.FileChannel;

/**
 * A disk with a root file system for a kernel that has no initial RAM disk: made of the archives that would be one. Not
 * thread-safe.
 */
public final class RootImage {
    private final FileTree tree = new FileTree();

    /** Creates an empty root file system. */
    public RootImage() {}

    /**
     * Adds what is in a cpio archive; what is there already under the same name is replaced. The array is kept.
     *
     * @param name of the archive, for messages
     * @param archive of the format {@code newc}, not compressed
     * @throws BootException if it is something else, or damaged
     */
    public RootImage add(String name, byte[] archive) throws BootException {
        CpioReader.read(name, archive, tree);
        return this;
    }

    /**
     * Writes an ext4 file system of 128 MiB, most of it a hole of the file.
     *
     * @param out an empty file
     * @throws BootException if there is too much for it
     */
    public void write(FileChannel out) throws IOException {
        Ext4Image.write(tree, out);
    }
}
