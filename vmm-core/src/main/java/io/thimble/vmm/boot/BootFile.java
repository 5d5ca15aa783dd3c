package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The bytes of a kernel or an initrd: a file, whose contents go from the page cache straight into guest memory, or what
 * was unpacked from one, or a part of this process's memory. To be closed.
 */
final class BootFile implements Closeable {
    /** Where the bytes come from. */
    interface Source extends Closeable {
        /**
         * Reads some bytes, as {@link FileChannel#read(ByteBuffer, long)} does.
         *
         * @return how many, at least 1, or -1 if there is nothing at {@code position}
         */
        int read(ByteBuffer target, long position) throws IOException;
    }

    private record ChannelSource(FileChannel channel) implements Source {
        @Override
        public int read(ByteBuffer target, long position) throws IOException {
            return channel.read(target, position);
        }

        @Override
        public void close() throws IOException {
            channel.close();
        }
    }

    /** ByteBuffers count in int; a file is read in pieces of at most this many bytes. */
    private static final long MAX_PIECE = 1L << 30;

    private final String name;
    private final String packing;
    private final Source source;
    private final long size;

    /**
     * Makes a file of something else.
     *
     * @param name for messages: mostly the path
     * @param packing what it was unpacked from; empty for nothing
     * @param source closed with this file
     * @param size in bytes
     */
    BootFile(String name, String packing, Source source, long size) {
        this.name = packing.isEmpty() ? name : name + " (" + packing + ")";
        this.packing = packing;
        this.source = source;
        this.size = size;
    }

    /**
     * Opens a file.
     *
     * @param what the file's purpose, for messages: "kernel", "initrd"
     * @throws BootException if it is missing, unreadable, empty or not a regular file
     */
    static BootFile open(Path path, String what) throws IOException {
        FileChannel channel = null;
        try {
            if (Files.exists(path) && !Files.isRegularFile(path)) {
                throw new BootException(path + ": the " + what + " must be a regular file");
            }
            channel = FileChannel.open(path, StandardOpenOption.READ);
            long size = channel.size();
            if (size == 0) {
                throw new BootException(path + ": the " + what + " is an empty file");
            }
            BootFile file = new BootFile(path.toString(), "", new ChannelSource(channel), size);
            channel = null;
            return file;
        } catch (NoSuchFileException e) {
            throw withCause(new BootException(path + ": no such " + what), e);
        } catch (AccessDeniedException e) {
            throw withCause(new BootException(path + ": no permission to read this " + what), e);
        } finally {
            if (channel != null) {
                channel.close();
            }
        }
    }

    /** Returns what messages call it. */
    String name() {
        return name;
    }

    /** Returns what it was unpacked from; empty for nothing. */
    String packing() {
        return packing;
    }

    /** Returns the size in bytes that the file had when it was opened. */
    long size() {
        return size;
    }

    /**
     * Returns a small part of the file, in little endian.
     *
     * @throws EOFException if the file ends before it
     */
    ByteBuffer read(long position, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        readFully(buffer, position);
        return buffer.flip();
    }

    /**
     * Reads a part of the file into guest memory.
     *
     * @param gpa the guest-physical address; the caller has checked that the range is guest memory
     * @throws EOFException if the file ends before it: it was truncated since it was opened
     */
    void readInto(GuestMemory memory, long gpa, long position, long length) throws IOException {
        long done = 0;
        while (done < length) {
            long at = gpa + done;
            long part = Math.min(Math.min(length - done, MAX_PIECE), endOfRegion(memory, at) - at);
            MemorySegment target = memory.sliceForWriting(at, part);
            readFully(target.asByteBuffer(), position + done);
            done += part;
        }
        memory.markDirty(gpa, length);
    }

    @Override
    public void close() throws IOException {
        source.close();
    }

    private void readFully(ByteBuffer buffer, long position) throws IOException {
        long at = position;
        while (buffer.hasRemaining()) {
            int count = source.read(buffer, at);
            if (count < 0) {
                throw new EOFException(
                        name + ": the file ends at " + at + " and was expected to reach " + (at + buffer.remaining()));
            }
            at += count;
        }
    }

    private static long endOfRegion(GuestMemory memory, long gpa) {
        for (MemoryRegion region : memory.regions()) {
            if (gpa >= region.guestAddress() && gpa < region.endAddress()) {
                return region.endAddress();
            }
        }
        throw new IllegalArgumentException("Not in guest memory: 0x" + Long.toHexString(gpa));
    }

    private static BootException withCause(BootException e, Exception cause) {
        e.initCause(cause);
        return e;
    }
}
