package io.thimble.virtio.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.linux.Mman;
import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.balloon.BalloonDevice;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.CompletableFuture;

/**
 * A balloon whose driver puts any pages into it, reports any ranges and fills in any statistics: nothing is thrown, memory of the host's
 * own that lies behind the guest's keeps its content, and after a reset the balloon works.
 */
class BalloonFuzzTest {
    private static final int PAGE = 4096;
    private static final int PAGES = 128;
    private static final int QUEUES = 4;
    private static final int QUEUE_SIZE = 32;
    private static final long RING_PACKED = 1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED;
    private static final long SENTINEL = 0x7e57_ab1e_0000_0001L;

    @FuzzTest(maxDuration = "1m")
    void gives_away_only_what_is_the_guests(FuzzedDataProvider fuzz) {
        try (Arena arena = Arena.ofShared()) {
            // Two regions of the guest's with a hole between, and pages of the host's on both sides.
            MemorySegment mapping = Mman.anonymous(arena, (long) (2 * PAGES + 3) * PAGE);
            for (int page : new int[] {0, PAGES + 1, 2 * PAGES + 2}) {
                mapping.set(ValueLayout.JAVA_LONG, (long) page * PAGE, SENTINEL);
            }
            GuestMemory memory = GuestMemory.of(
                    new MemoryRegion(0, mapping.asSlice(PAGE, (long) PAGES * PAGE)),
                    new MemoryRegion(
                            2L * PAGES * PAGE, mapping.asSlice((long) (PAGES + 2) * PAGE, (long) PAGES * PAGE)));
            BalloonDevice device = new BalloonDevice(true);
            try (DeviceBench bench = new DeviceBench(device, new MockMemory(memory), new ManualLoop())) {
                boolean packed = fuzz.consumeBoolean();
                long offered = bench.driver().offeredFeatures() & ~RING_PACKED;
                bench.driver().start(offered | (packed ? RING_PACKED : 0), QUEUE_SIZE);
                for (int steps = 0; fuzz.remainingBytes() > 0 && steps < 200; steps++) {
                    step(fuzz, bench, device);
                }
                checkWorks(bench, device);
            }
            for (int page : new int[] {0, PAGES + 1, 2 * PAGES + 2}) {
                if (mapping.get(ValueLayout.JAVA_LONG, (long) page * PAGE) != SENTINEL) {
                    throw new AssertionError("the host lost its page " + page);
                }
            }
        }
    }

    private static void step(FuzzedDataProvider fuzz, DeviceBench bench, BalloonDevice device) {
        switch (fuzz.consumeInt(0, 6)) {
            case 0, 1 -> {
                ByteBuffer pages =
                        ByteBuffer.allocate(4 * fuzz.consumeInt(1, 20)).order(ByteOrder.LITTLE_ENDIAN);
                while (pages.hasRemaining()) {
                    // Those of the driver's own rings stay: else the rest of the input does nothing.
                    pages.putInt(
                            fuzz.consumeInt(0, 7) == 0 ? fuzz.consumeInt() | (1 << 9) : fuzz.consumeInt(64, 3 * PAGES));
                }
                add(bench, fuzz.consumeInt(0, 1), Piece.readable(place(bench, pages.array()), pages.capacity()));
            }
            case 2, 3 -> {
                long address = fuzz.consumeInt(0, 7) == 0
                        ? fuzz.consumeLong() | (1L << 20) // behind the rings
                        : fuzz.consumeLong(64 * PAGE, 3L * PAGES * PAGE + 1);
                int length = fuzz.consumeInt(0, 15) == 0 ? fuzz.consumeInt() : fuzz.consumeInt(1, 40 * PAGE);
                add(bench, 3, new Piece(address, length, fuzz.consumeInt(0, 7) != 0));
            }
            case 4 -> {
                byte[] statistics = fuzz.consumeBytes(fuzz.consumeInt(1, 60));
                add(bench, 2, Piece.readable(place(bench, statistics), Math.max(1, statistics.length)));
                device.askStatistics(new CompletableFuture<>());
            }
            case 5 -> {
                device.setTargetPages(fuzz.consumeInt());
                bench.driver().writeConfig(fuzz.consumeInt(0, 20), 4, fuzz.consumeInt());
            }
            default -> {
                byte[] bytes = fuzz.consumeBytes(fuzz.consumeInt(1, 40));
                int length = fuzz.consumeInt(0, 15) == 0 ? fuzz.consumeInt() : Math.max(1, bytes.length);
                add(
                        bench,
                        fuzz.consumeInt(0, QUEUES - 1),
                        new Piece(place(bench, bytes), length, fuzz.consumeBoolean()));
                bench.core().pause(() -> {});
                bench.loop().run();
                bench.core().resume();
            }
        }
        bench.loop().run();
    }

    /** Finds a place for bytes below page 64; where none is left they overlap what was first. */
    private static long place(DeviceBench bench, byte[] bytes) {
        long at = bench.places().allocate(1, 16) < 48 * PAGE ? bench.places().allocate(bytes) : 48 * PAGE;
        bench.places().memory().write(at, bytes, 0, bytes.length);
        return at;
    }

    private static void add(DeviceBench bench, int index, Piece piece) {
        MockQueue queue = bench.driver().queue(index);
        while (queue.pollUsed().isPresent()) {}
        if (queue.freeDescriptors() > 0) {
            int _ = queue.add(piece);
            bench.driver().notifyQueue(index);
        }
    }

    private static void checkWorks(DeviceBench bench, BalloonDevice device) {
        bench.driver().start(0, 4);
        bench.loop().run();
        GuestMemory memory = bench.places().memory();
        memory.putLong(100 * PAGE, 1);
        byte[] page = {100, 0, 0, 0};
        add(bench, 0, Piece.readable(place(bench, page), page.length));
        bench.loop().run();
        if (memory.getLong(100 * PAGE) != 0 || device.released() != 1) {
            throw new AssertionError("after a reset the balloon took " + device.released() + " pages");
        }
    }
}
