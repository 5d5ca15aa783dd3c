package io.thimble.virtio.block;

import io.thimble.linux.Errno;
import io.thimble.linux.Mman;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.FallocConstants;
import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.device.DeviceListener;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * Carries out parsed requests: turns each into one or more operations of the engine, goes on where one moved fewer bytes than
 * it was to, and says how it ended. The loop's only.
 */
final class BlockExecutor {
    /** Is told how a request ended. */
    @FunctionalInterface
    interface Endings {
        /** {@code status} is {@code VIRTIO_BLK_S_*}. */
        void ended(BlockIo io, int status);
    }

    /** What one operation moves at most, so that a copy from the page cache does not hold up the loop for long. */
    private static final long MOST_AT_ONCE = 16L << 20;

    private static final int MOST_RETRIES = 16;
    private static final int ZEROS = 64 * 1024;
    private static final int ERRNOS = 256;
    private static final int PUNCH = FallocConstants.FALLOC_FL_PUNCH_HOLE | FallocConstants.FALLOC_FL_KEEP_SIZE;
    private static final int ZERO = FallocConstants.FALLOC_FL_ZERO_RANGE | FallocConstants.FALLOC_FL_KEEP_SIZE;

    private final String name;
    private final DiskImage image;
    private final BlockEngine engine;
    private final BlockCounters counters;
    private final DeviceListener listener;
    private final Endings endings;
    private final MemorySegment serial;
    private final BlockIo[] requests;
    private final BounceBuffer bounce;
    private final Arena arena;
    private final BitSet reported = new BitSet();

    private @Nullable MemorySegment zeros;
    private boolean writeThrough;
    private boolean cannotPunch;
    private boolean cannotZero;

    /**
     * @param requests by id
     * @param arena frees what this allocates; closed after the engine
     */
    BlockExecutor(
            String name,
            DiskImage image,
            BlockEngine engine,
            byte[] serial,
            BlockIo[] requests,
            Arena arena,
            BlockCounters counters,
            DeviceListener listener,
            Endings endings) {
        this.name = name;
        this.image = image;
        this.engine = engine;
        this.serial = MemorySegment.ofArray(serial);
        this.requests = requests;
        this.arena = arena;
        this.bounce = new BounceBuffer(arena, requests.length);
        this.counters = counters;
        this.listener = listener;
        this.endings = endings;
    }

    /** From the next request on, writes are durable when they end. */
    void setWriteThrough(boolean on) {
        writeThrough = on;
    }

    /** Starts a request, which may end at once. */
    void start(BlockIo io) {
        BlockRequest request = io.request;
        if (request.status() != VirtioBlkConstants.VIRTIO_BLK_S_OK) {
            counters.add(BlockCounters.REFUSED, 1);
            endings.ended(io, request.status());
            return;
        }
        switch (request.type()) {
            case VirtioBlkConstants.VIRTIO_BLK_T_IN, VirtioBlkConstants.VIRTIO_BLK_T_OUT -> goOn(io);
            case VirtioBlkConstants.VIRTIO_BLK_T_FLUSH -> flush(io);
            case VirtioBlkConstants.VIRTIO_BLK_T_GET_ID -> {
                io.chain.write(0, serial, 0, request.length());
                endings.ended(io, VirtioBlkConstants.VIRTIO_BLK_S_OK);
            }
            default -> range(io);
        }
    }

    private void flush(BlockIo io) {
        if (image.isReadOnly()) {
            endings.ended(io, VirtioBlkConstants.VIRTIO_BLK_S_OK);
        } else {
            engine.sync(io.id);
        }
    }

    private void range(BlockIo io) {
        BlockRequest request = io.request;
        boolean discard = request.type() == VirtioBlkConstants.VIRTIO_BLK_T_DISCARD;
        if (request.length() == 0 || (discard && cannotPunch)) {
            succeed(io);
        } else if (request.unmap() && !cannotPunch) {
            engine.allocate(io.id, PUNCH, request.offset(), request.length());
        } else if (!request.unmap() && !cannotZero) {
            engine.allocate(io.id, ZERO, request.offset(), request.length());
        } else {
            io.writesZeros = true;
            goOn(io);
        }
    }

    /** Queues the next part of a transfer, or ends it. */
    private void goOn(BlockIo io) {
        if (io.left() == 0) {
            succeed(io);
            return;
        }
        io.vectors.clear();
        long part = Math.min(io.left(), MOST_AT_ONCE);
        if (io.writesZeros) {
            addZeros(io, part);
        } else if (isRead(io)) {
            io.vectors.addWritable(io.chain, io.done, part);
        } else {
            io.vectors.addReadable(io.chain, BlockRequest.dataOffset() + io.done, part);
        }
        if (image.isDirect() && !isAligned(io)) {
            if (bounce.take(io.id)) {
                throughBuffer(io);
            }
            return;
        }
        queue(io);
    }

    private static boolean isRead(BlockIo io) {
        return io.request.type() == VirtioBlkConstants.VIRTIO_BLK_T_IN;
    }

    private void queue(BlockIo io) {
        long at = io.request.offset() + io.done;
        if (isRead(io)) {
            engine.read(io.id, io.vectors, at);
        } else {
            engine.write(io.id, io.vectors, at, writeThrough);
        }
    }

    private void addZeros(BlockIo io, long part) {
        MemorySegment source = zeros;
        if (source == null) {
            source = Mman.anonymous(arena, ZEROS);
            zeros = source;
        }
        long left = part;
        while (left > 0 && io.vectors.addHost(left >= ZEROS ? source : source.asSlice(0, left))) {
            left -= Math.min(left, ZEROS);
        }
    }

    /** Direct I/O takes whole blocks, from addresses that the host's device can use. */
    private boolean isAligned(BlockIo io) {
        if ((io.vectors.bytes() & (image.logicalBlockSize() - 1)) != 0) {
            return false;
        }
        long mask = image.memoryAlign() - 1L;
        long bits = 0;
        for (int i = 0; i < io.vectors.count(); i++) {
            bits |= io.vectors.address(i) | io.vectors.length(i);
        }
        return (bits & mask) == 0;
    }

    private void throughBuffer(BlockIo io) {
        io.bounced = true;
        counters.add(BlockCounters.BOUNCED, 1);
        int part = (int) Math.min(io.left(), BounceBuffer.SIZE);
        MemorySegment buffer = bounce.memory().asSlice(0, part);
        if (io.writesZeros) {
            buffer.fill((byte) 0);
        } else if (!isRead(io)) {
            io.chain.read(BlockRequest.dataOffset() + io.done, buffer, 0, part);
        }
        io.vectors.clear();
        io.vectors.addHost(buffer);
        queue(io);
    }

    /** Takes the result of an operation. */
    void completed(int id, int result) {
        BlockIo io = requests[id];
        if (result == -Errnos.EAGAIN || result == -Errnos.EINTR) {
            if (io.retries++ < MOST_RETRIES) {
                again(io);
                return;
            }
        }
        boolean transfer = io.writesZeros
                || io.request.type() == VirtioBlkConstants.VIRTIO_BLK_T_IN
                || io.request.type() == VirtioBlkConstants.VIRTIO_BLK_T_OUT;
        if (transfer && !io.syncs) {
            moved(io, result);
        } else if (result >= 0) {
            succeed(io);
        } else if (result == -Errnos.EOPNOTSUPP && !io.syncs) {
            withoutAllocate(io);
        } else {
            fail(io, -result);
        }
    }

    private void again(BlockIo io) {
        if (io.syncs) {
            engine.sync(io.id);
        } else if (io.bounced || io.writesZeros) {
            queue(io);
        } else {
            start(io);
        }
    }

    private void moved(BlockIo io, int result) {
        if (io.bounced) {
            if (result > 0 && isRead(io)) {
                io.chain.write(io.done, bounce.memory(), 0, result);
            }
            io.bounced = false;
            int next = bounce.release();
            if (next >= 0) {
                throughBuffer(requests[next]);
            }
        }
        if (result > 0) {
            io.done += result;
            io.retries = 0;
            goOn(io);
        } else {
            fail(io, result == 0 ? 0 : -result);
        }
    }

    /** The file system cannot do it: a discard is only a hint, and zeros can be written. */
    private void withoutAllocate(BlockIo io) {
        if (io.request.unmap()) {
            cannotPunch = true;
        } else {
            cannotZero = true;
        }
        range(io);
    }

    private void succeed(BlockIo io) {
        long bytes = io.request.length();
        switch (io.request.type()) {
            case VirtioBlkConstants.VIRTIO_BLK_T_IN -> {
                markDirty(io);
                counters.add(BlockCounters.READS, 1);
                counters.add(BlockCounters.READ_BYTES, bytes);
            }
            case VirtioBlkConstants.VIRTIO_BLK_T_OUT -> {
                counters.add(BlockCounters.WRITES, 1);
                counters.add(BlockCounters.WRITTEN_BYTES, bytes);
            }
            case VirtioBlkConstants.VIRTIO_BLK_T_FLUSH -> counters.add(BlockCounters.FLUSHES, 1);
            default -> {
                boolean zeroes = io.request.type() == VirtioBlkConstants.VIRTIO_BLK_T_WRITE_ZEROES;
                if (zeroes && writeThrough && !io.syncs && bytes > 0) {
                    io.syncs = true;
                    engine.sync(io.id);
                    return;
                }
                counters.add(BlockCounters.DISCARDS, 1);
            }
        }
        endings.ended(io, VirtioBlkConstants.VIRTIO_BLK_S_OK);
    }

    /** What the kernel wrote after the vectors were made may have been missed by a bitmap that was drained meanwhile. */
    private static void markDirty(BlockIo io) {
        GuestMemory memory = io.chain.memory();
        if (memory.dirtyBitmap().isEnabled()) {
            for (int i = io.chain.readableCount(); i < io.chain.count(); i++) {
                memory.markDirty(io.chain.address(i), io.chain.length(i));
            }
        }
    }

    /** {@code errno} 0 stands for a file that is shorter than the disk. */
    private void fail(BlockIo io, int errno) {
        counters.add(BlockCounters.ERRORS, 1);
        int type = io.request.type() & 0xf;
        int key = type * ERRNOS + (errno & (ERRNOS - 1));
        if (!reported.get(key)) {
            reported.set(key);
            listener.hostFailure(name, failure(io, errno));
        }
        endings.ended(io, VirtioBlkConstants.VIRTIO_BLK_S_IOERR);
    }

    private String failure(BlockIo io, int errno) {
        String operation = switch (io.request.type()) {
            case VirtioBlkConstants.VIRTIO_BLK_T_IN -> "read";
            case VirtioBlkConstants.VIRTIO_BLK_T_OUT -> "write";
            case VirtioBlkConstants.VIRTIO_BLK_T_FLUSH -> "flush";
            default -> "discard or write of zeros";
        };
        return operation + " of " + io.request.length() + " bytes at " + io.request.offset() + " of " + image.path()
                + " failed: " + reason(errno)
                + "; the guest was told, and further errors of this kind are only counted";
    }

    private static String reason(int errno) {
        return switch (errno) {
            case 0 -> "the file ends before the disk does - it was cut off on the host";
            case Errnos.ENOSPC, Errnos.EDQUOT ->
                Errno.describe(errno) + " - make room on the image's file system; the guest can then go on";
            default -> Errno.describe(errno);
        };
    }
}
