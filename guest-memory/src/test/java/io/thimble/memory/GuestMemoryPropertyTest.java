package io.thimble.memory;

import static io.thimble.memory.GuestMemory.PAGE_SIZE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Random operations on random regions against a byte array with holes; every failure names the seed. */
class GuestMemoryPropertyTest {
    private static final int OPERATIONS = 4_000;

    static long[] seeds() {
        long fresh = System.nanoTime();
        System.out.println("GuestMemoryPropertyTest: fresh seed " + fresh);
        return new long[] {1, 2, 3, 4, 5, 6, 7, 8, fresh};
    }

    /** The memory as it should be: bytes, which of them exist, and which pages were written. */
    private static final class Model {
        final byte[] bytes;
        final BitSet present = new BitSet();
        final BitSet dirty = new BitSet();

        Model(int size) {
            bytes = new byte[size];
        }

        boolean has(long gpa, long length) {
            return length == 0
                    || (gpa >= 0
                            && length > 0
                            && length <= bytes.length
                            && gpa <= bytes.length - length
                            && present.nextClearBit((int) gpa) >= gpa + length);
        }

        void put(long gpa, byte[] src) {
            if (src.length > 0) {
                System.arraycopy(src, 0, bytes, (int) gpa, src.length);
                dirty.set((int) (gpa / PAGE_SIZE), (int) ((gpa + src.length - 1) / PAGE_SIZE) + 1);
            }
        }

        byte[] get(long gpa, int length) {
            return length == 0 ? new byte[0] : Arrays.copyOfRange(bytes, (int) gpa, (int) gpa + length);
        }
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void behaves_like_a_byte_array_with_holes(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        try (Arena arena = Arena.ofConfined()) {
            int pages = 24;
            Model model = new Model((int) (pages * PAGE_SIZE));
            GuestMemory memory = GuestMemory.of(randomRegions(random, arena, model, pages));
            memory.dirtyBitmap().enable();
            for (int i = 0; i < OPERATIONS; i++) {
                step(random, memory, model);
                if (random.nextInt(200) == 0) {
                    checkDirty(memory, model);
                }
            }
            checkDirty(memory, model);
            for (MemoryRegion region : memory.regions()) {
                assertThat(region.segment().toArray(ValueLayout.JAVA_BYTE))
                        .isEqualTo(model.get(region.guestAddress(), (int) region.size()));
            }
        }
    }

    private static List<MemoryRegion> randomRegions(SplittableRandom random, Arena arena, Model model, int pages) {
        List<MemoryRegion> regions = new ArrayList<>();
        int page = random.nextInt(3);
        while (page < pages) {
            int size = 1 + random.nextInt(Math.min(5, pages - page));
            regions.add(new MemoryRegion(page * PAGE_SIZE, arena.allocate(size * PAGE_SIZE, PAGE_SIZE)));
            model.present.set((int) (page * PAGE_SIZE), (int) ((page + size) * PAGE_SIZE));
            page += size + (random.nextBoolean() ? 0 : random.nextInt(3));
        }
        return regions;
    }

    private static void step(SplittableRandom random, GuestMemory memory, Model model) {
        long gpa = address(random, model);
        switch (random.nextInt(14)) {
            case 0 -> typed(memory, model, gpa, 1, 1, random.nextLong());
            case 1 -> typed(memory, model, gpa, 2, 1, random.nextLong());
            case 2 -> typed(memory, model, gpa, 4, 1, random.nextLong());
            case 3 -> typed(memory, model, gpa, 8, 1, random.nextLong());
            case 4 -> typed(memory, model, gpa, 2, 2, random.nextLong());
            case 5 -> typed(memory, model, gpa, 4, 4, random.nextLong());
            case 6 -> typed(memory, model, gpa, 8, 8, random.nextLong());
            case 7, 8 -> writeBytes(random, memory, model, gpa);
            case 9, 10 -> readBytes(random, memory, model, gpa);
            case 11 -> fill(random, memory, model, gpa);
            case 12 -> translate(random, memory, model, gpa);
            default -> slice(random, memory, model, gpa);
        }
    }

    /** Mostly in memory and near the pages' borders, sometimes anywhere among the longs. */
    private static long address(SplittableRandom random, Model model) {
        return switch (random.nextInt(8)) {
            case 0 -> random.nextLong();
            case 1 -> random.nextLong(model.bytes.length / PAGE_SIZE) * PAGE_SIZE - random.nextInt(10);
            case 2 -> -1 - random.nextInt(10_000);
            case 3 -> Long.MAX_VALUE - random.nextInt(10_000);
            case 4 -> random.nextLong(model.bytes.length) & ~7L;
            default -> random.nextLong(model.bytes.length + 64);
        };
    }

    private static int length(SplittableRandom random) {
        return random.nextInt(4) == 0 ? random.nextInt(20_000) : random.nextInt(20);
    }

    /** Puts and gets a value of {@code size} bytes; an alignment above 1 means the ordered variants. */
    private static void typed(GuestMemory memory, Model model, long gpa, int size, int alignment, long value) {
        if (!model.has(gpa, size) || (gpa & (alignment - 1)) != 0) {
            refused(() -> put(memory, gpa, size, alignment, value));
            refused(() -> get(memory, gpa, size, alignment));
            return;
        }
        long mask = -1L >>> (64 - 8 * size);
        assertThat(get(memory, gpa, size, alignment) & mask).isEqualTo(fromBytes(model.get(gpa, size)));
        put(memory, gpa, size, alignment, value);
        byte[] bytes = new byte[size];
        for (int i = 0; i < size; i++) {
            bytes[i] = (byte) (value >>> (8 * i));
        }
        model.put(gpa, bytes);
        assertThat(get(memory, gpa, size, alignment) & mask).isEqualTo(value & mask);
    }

    private static long get(GuestMemory memory, long gpa, int size, int alignment) {
        return switch (size) {
            case 1 -> memory.getByte(gpa);
            case 2 -> alignment == 1 ? memory.getShort(gpa) : memory.getShortAcquire(gpa);
            case 4 -> alignment == 1 ? memory.getInt(gpa) : memory.getIntAcquire(gpa);
            default -> alignment == 1 ? memory.getLong(gpa) : memory.getLongAcquire(gpa);
        };
    }

    private static void put(GuestMemory memory, long gpa, int size, int alignment, long value) {
        boolean plain = alignment == 1;
        switch (size) {
            case 1 -> memory.putByte(gpa, (byte) value);
            case 2 -> {
                if (plain) {
                    memory.putShort(gpa, (short) value);
                } else {
                    memory.putShortRelease(gpa, (short) value);
                }
            }
            case 4 -> {
                if (plain) {
                    memory.putInt(gpa, (int) value);
                } else {
                    memory.putIntRelease(gpa, (int) value);
                }
            }
            default -> {
                if (plain) {
                    memory.putLong(gpa, value);
                } else {
                    memory.putLongRelease(gpa, value);
                }
            }
        }
    }

    private static void writeBytes(SplittableRandom random, GuestMemory memory, Model model, long gpa) {
        byte[] bytes = new byte[length(random)];
        random.nextBytes(bytes);
        Runnable write = random.nextBoolean()
                ? () -> memory.write(gpa, bytes, 0, bytes.length)
                : () -> memory.write(gpa, MemorySegment.ofArray(bytes));
        if (!model.has(gpa, bytes.length)) {
            refused(write);
            return;
        }
        write.run();
        model.put(gpa, bytes);
    }

    private static void readBytes(SplittableRandom random, GuestMemory memory, Model model, long gpa) {
        byte[] bytes = new byte[length(random)];
        Runnable read = random.nextBoolean()
                ? () -> memory.read(gpa, bytes, 0, bytes.length)
                : () -> memory.read(gpa, MemorySegment.ofArray(bytes));
        if (!model.has(gpa, bytes.length)) {
            refused(read);
            return;
        }
        read.run();
        assertThat(bytes).isEqualTo(model.get(gpa, bytes.length));
    }

    private static void fill(SplittableRandom random, GuestMemory memory, Model model, long gpa) {
        int length = length(random);
        byte value = (byte) random.nextInt();
        if (!model.has(gpa, length)) {
            refused(() -> memory.fill(gpa, length, value));
            return;
        }
        memory.fill(gpa, length, value);
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, value);
        model.put(gpa, bytes);
    }

    private static void translate(SplittableRandom random, GuestMemory memory, Model model, long gpa) {
        int length = length(random);
        if (!model.has(gpa, length)) {
            refused(() -> memory.translateForWriting(gpa, length));
            return;
        }
        List<HostSegment> pieces = memory.translateForWriting(gpa, length);
        if (length > 0) {
            model.put(gpa, model.get(gpa, length)); // dirty, though unchanged
        }
        long at = gpa;
        for (HostSegment piece : pieces) {
            long start = at;
            MemoryRegion region = memory.regions().stream()
                    .filter(r -> start >= r.guestAddress() && start < r.endAddress())
                    .findFirst()
                    .orElseThrow();
            assertThat(piece.address()).isEqualTo(region.segment().address() + start - region.guestAddress());
            assertThat(piece.length()).isPositive();
            at += piece.length();
            assertThat(at).isLessThanOrEqualTo(region.endAddress());
        }
        assertThat(at).isEqualTo(gpa + length);
    }

    private static void slice(SplittableRandom random, GuestMemory memory, Model model, long gpa) {
        int length = 1 + length(random);
        boolean oneRegion = memory.regions().stream()
                .anyMatch(r -> gpa >= r.guestAddress() && gpa < r.endAddress() && length <= r.endAddress() - gpa);
        if (!oneRegion) {
            refused(() -> memory.slice(gpa, length));
            return;
        }
        assertThat(memory.slice(gpa, length).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(model.get(gpa, length));
    }

    private static void checkDirty(GuestMemory memory, Model model) {
        assertThat(memory.dirtyBitmap().dirtyPages()).isEqualTo(model.dirty.cardinality());
        BitSet seen = new BitSet();
        long pages = memory.dirtyBitmap()
                .drainTo((gpa, length) -> seen.set((int) (gpa / PAGE_SIZE), (int) ((gpa + length) / PAGE_SIZE)));
        assertThat(seen).isEqualTo(model.dirty);
        assertThat(pages).isEqualTo(model.dirty.cardinality());
        assertThat(memory.dirtyBitmap().dirtyPages()).isZero();
        model.dirty.clear();
    }

    private static void refused(Runnable access) {
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(access::run);
    }

    private static long fromBytes(byte[] bytes) {
        long value = 0;
        for (int i = 0; i < bytes.length; i++) {
            value |= (bytes[i] & 0xffL) << (8 * i);
        }
        return value;
    }
}
