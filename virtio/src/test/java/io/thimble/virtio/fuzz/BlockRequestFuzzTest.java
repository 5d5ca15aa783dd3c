package io.thimble.virtio.fuzz;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.block.BlockRequest;
import io.thimble.virtio.block.DiskImage;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.SplitVirtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import io.thimble.virtio.queue.VirtqueueState;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.testing.MockSplitQueue;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A block request of any content, cut into pieces anywhere: what the parser lets through lies on the disk, in whole blocks, and
 * has its data in the buffer; nothing but {@link VirtqueueException} is thrown.
 *
 * <p>An input is a byte of properties of the disk, a byte for where the readable bytes are cut, two bytes for how many
 * writable ones there are, then the readable bytes.
 */
class BlockRequestFuzzTest {
    private static final int MEMORY = 256 << 10;
    private static final GuestMemory REUSED = new MockMemory(MEMORY).memory();
    private static final long CAPACITY = 1L << 22;
    private static final int PROPERTIES = 4;
    private static final int MOST_READABLE = 65536;

    @FuzzTest(maxDuration = "1m")
    void lets_nothing_through_that_is_not_on_the_disk(byte[] input) {
        if (input.length < PROPERTIES) {
            return;
        }
        boolean readOnly = (input[0] & 1) != 0;
        int blockSize = DiskImage.SECTOR << ((input[0] >> 1) & 3);
        int cut = input[1] & 0xff;
        int writable = (input[2] & 0xff) | (input[3] & 0xff) << 8;
        byte[] readable = Arrays.copyOfRange(input, PROPERTIES, Math.min(input.length, PROPERTIES + MOST_READABLE));
        DescriptorChain chain = chain(readable, cut, writable);
        if (chain == null) {
            return;
        }
        BlockRequest request = new BlockRequest();
        try {
            request.parse(chain, CAPACITY, readOnly, blockSize);
        } catch (VirtqueueException e) {
            require(
                    readable.length < BlockRequest.dataOffset() || writable == 0,
                    "a request with room is refused",
                    request);
            return;
        }
        check(request, readable.length, writable, readOnly, blockSize);
    }

    private static @Nullable DescriptorChain chain(byte[] readable, int cut, int writable) {
        MockMemory places = new MockMemory(REUSED);
        MockSplitQueue queue = new MockSplitQueue(places, 4);
        List<Piece> pieces = new ArrayList<>();
        int first = Math.min(cut, readable.length);
        if (first > 0) {
            pieces.add(Piece.readable(places.allocate(Arrays.copyOf(readable, first)), first));
        }
        if (readable.length > first) {
            byte[] rest = Arrays.copyOfRange(readable, first, readable.length);
            pieces.add(Piece.readable(places.allocate(rest), rest.length));
        }
        if (writable > 0) {
            pieces.add(Piece.writable(places.allocate(writable, 1), writable));
        }
        if (pieces.isEmpty()) {
            return null;
        }
        queue.add(pieces.toArray(Piece[]::new));
        DescriptorChain chain = new DescriptorChain(REUSED);
        VirtqueueState state = new VirtqueueState(4, queue.descriptors(), queue.driver(), queue.device(), 0, 0, 0);
        boolean _ = new SplitVirtqueue(REUSED, state, false, false).pop(chain);
        return chain;
    }

    private static void check(BlockRequest request, int readable, int writable, boolean readOnly, int blockSize) {
        if (request.status() != VirtioBlkConstants.VIRTIO_BLK_S_OK) {
            return;
        }
        long length = request.length();
        switch (request.type()) {
            case VirtioBlkConstants.VIRTIO_BLK_T_IN -> require(length == writable - 1, "data to read", request);
            case VirtioBlkConstants.VIRTIO_BLK_T_OUT ->
                require(!readOnly && length == readable - BlockRequest.dataOffset(), "data to write", request);
            case VirtioBlkConstants.VIRTIO_BLK_T_DISCARD, VirtioBlkConstants.VIRTIO_BLK_T_WRITE_ZEROES ->
                require(
                        !readOnly && length <= (long) BlockRequest.MAX_RANGE_SECTORS * DiskImage.SECTOR,
                        "a range",
                        request);
            case VirtioBlkConstants.VIRTIO_BLK_T_GET_ID -> {
                require(length < writable && length <= VirtioBlkConstants.VIRTIO_BLK_ID_BYTES, "an id", request);
                return;
            }
            default -> require(request.type() == VirtioBlkConstants.VIRTIO_BLK_T_FLUSH, "a known type", request);
        }
        require(request.offset() >= 0 && length >= 0, "no negative number", request);
        require(request.offset() + length <= CAPACITY * DiskImage.SECTOR, "a place on the disk", request);
        require(((request.offset() | length) & (blockSize - 1)) == 0, "whole blocks", request);
    }

    private static void require(boolean holds, String what, BlockRequest request) {
        if (!holds) {
            throw new AssertionError("not " + what + ": " + request);
        }
    }
}
