package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The initial RAM disk: cpio archives one behind the other, from files and from memory, each at a multiple of 4 bytes as
 * Linux wants them (Documentation/driver-api/early-userspace/buffer-format.rst). To be closed.
 */
public final class Initrd implements Closeable {
    private static final long ALIGNMENT = 4;

    /** One archive: a file to read, or bytes. */
    private sealed interface Part {
        long size();

        void load(GuestMemory memory, long gpa) throws IOException;
    }

    private record FilePart(BootFile file) implements Part {
        @Override
        public long size() {
            return file.size();
        }

        @Override
        public void load(GuestMemory memory, long gpa) throws IOException {
            try {
                file.readInto(memory, gpa, 0, file.size());
            } catch (EOFException e) {
                BootException truncated =
                        new BootException(file.name() + ": the initrd was truncated while it was read");
                truncated.initCause(e);
                throw truncated;
            }
        }
    }

    private static final class BytesPart implements Part {
        private final byte[] bytes;

        BytesPart(byte[] bytes) {
            this.bytes = bytes;
        }

        @Override
        public long size() {
            return bytes.length;
        }

        @Override
        public void load(GuestMemory memory, long gpa) {
            memory.write(gpa, bytes, 0, bytes.length);
        }
    }

    private final List<Part> parts = new ArrayList<>();
    private long size;

    /** Creates an initrd without contents. */
    public Initrd() {}

    /**
     * Adds a file, which stays open until {@link #close()}.
     *
     * @throws BootException if there is no such file
     */
    public Initrd add(Path path) throws IOException {
        return add(new FilePart(BootFile.open(path, "initrd")));
    }

    /** Adds an archive that is in memory; the array is not copied. */
    public Initrd add(byte[] archive) {
        return add(new BytesPart(archive));
    }

    private Initrd add(Part part) {
        size = alignUp(size) + part.size();
        parts.add(part);
        return this;
    }

    /** Returns the size in bytes, with the gaps between the archives; 0 if there is nothing. */
    public long size() {
        return size;
    }

    /**
     * Returns where the initrd goes: page-aligned, as high as possible in the RAM below the hole.
     *
     * @param image the kernel, which must not be overwritten and says how high an initrd may reach
     * @throws InsufficientMemoryException if there is no room between the kernel's end and the RAM's
     */
    long place(GuestMemory memory, KernelImage image) throws InsufficientMemoryException {
        long ramEnd = Math.min(MemoryNeeds.endOfLowRam(memory), BootLayout.PCI_HOLE_ADDRESS);
        long top = Math.min(ramEnd, image.initrdAddressMax() + 1);
        long address = (top - size) & -GuestMemory.PAGE_SIZE;
        if (top < size || address < image.end()) {
            throw new InsufficientMemoryException(
                    "The initrd of " + size + " bytes, which has to lie between 0x" + Long.toHexString(image.end())
                            + " and 0x" + Long.toHexString(top) + ",",
                    image.end() + alignUpToPage(size),
                    memory.size());
        }
        return address;
    }

    /** Reads every part into guest memory. The gaps of up to 3 bytes are cleared. */
    void load(GuestMemory memory, long address) throws IOException {
        long at = address;
        for (Part part : parts) {
            long aligned = address + alignUp(at - address);
            memory.fill(at, aligned - at, (byte) 0);
            part.load(memory, aligned);
            at = aligned + part.size();
        }
    }

    @Override
    public void close() throws IOException {
        for (Part part : parts) {
            if (part instanceof FilePart filePart) {
                filePart.file.close();
            }
        }
    }

    @Override
    public String toString() {
        return "Initrd[" + parts.size() + " parts, " + size + " bytes]";
    }

    private static long alignUp(long value) {
        return (value + ALIGNMENT - 1) & -ALIGNMENT;
    }

    private static long alignUpToPage(long value) {
        return (value + GuestMemory.PAGE_SIZE - 1) & -GuestMemory.PAGE_SIZE;
    }
}
