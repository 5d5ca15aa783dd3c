package io.thimble.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.memory.GuestMemory;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockPackedQueue;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockSplitQueue;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A driver that writes the rings, the descriptors and the indirect tables while the device reads them. Whatever it wins, a
 * chain that was popped lies in guest memory, is no longer than the queue, and its bytes can be read and written; or pop
 * throws {@link VirtqueueException}, and nothing else.
 */
class MutatingDriverTest {
    private static final int SIZE = 16;
    private static final long MEMORY = 1 << 20;
    private static final int POPS = 300_000;

    private final MockMemory places = new MockMemory(MEMORY);
    private final GuestMemory memory = places.memory();
    private final long table = places.allocate(SIZE * 16, 16);

    /** How one format differs. */
    private interface Format {
        MockQueue driver();

        /** Makes a queue somewhere on its way, with something available. */
        Virtqueue device(SplittableRandom random);

        /**
         * Writes one descriptor.
         *
         * @param at its address
         * @param flags the lowest bits
         */
        void write(SplittableRandom random, long at, long address, int length, int flags);
    }

    private final class Split implements Format {
        private final MockSplitQueue driver = new MockSplitQueue(places, SIZE);

        @Override
        public MockQueue driver() {
            return driver;
        }

        @Override
        public Virtqueue device(SplittableRandom random) {
            int index = random.nextInt(0x10000);
            driver.setAvailableIndex(index + random.nextInt(1, SIZE + 1));
            return new SplitVirtqueue(memory, state(driver, index), random.nextBoolean(), true);
        }

        @Override
        public void write(SplittableRandom random, long at, long address, int length, int flags) {
            int next = random.nextInt(random.nextInt(20) == 0 ? 0x10000 : SIZE);
            driver.setDescriptorAt(at, address, length, flags, next);
        }
    }

    private final class Packed implements Format {
        private final MockPackedQueue driver = new MockPackedQueue(places, SIZE);

        @Override
        public MockQueue driver() {
            return driver;
        }

        @Override
        public Virtqueue device(SplittableRandom random) {
            int index = random.nextInt(SIZE) | random.nextInt(2) << 15;
            return new PackedVirtqueue(memory, state(driver, index), random.nextBoolean(), true);
        }

        @Override
        public void write(SplittableRandom random, long at, long address, int length, int flags) {
            // Mostly available, in this lap or in the next.
            int availability = random.nextInt(8) == 0 ? random.nextInt(0x10000) : random.nextBoolean() ? 0x80 : 0x8000;
            driver.setDescriptorAt(at, address, length, random.nextInt(0x10000), flags | availability);
        }
    }

    private static VirtqueueState state(MockQueue driver, int index) {
        return new VirtqueueState(SIZE, driver.descriptors(), driver.driver(), driver.device(), index, index, index);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    @Timeout(120)
    void what_is_popped_of_a_split_queue_is_sound_while_the_driver_changes_everything(long seed)
            throws InterruptedException {
        run(new Split(), seed);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    @Timeout(120)
    void what_is_popped_of_a_packed_queue_is_sound_while_the_driver_changes_everything(long seed)
            throws InterruptedException {
        run(new Packed(), seed);
    }

    private void run(Format format, long seed) throws InterruptedException {
        AtomicBoolean stop = new AtomicBoolean();
        Thread mutator = Thread.ofPlatform().start(() -> mutate(new SplittableRandom(seed), format, stop));
        int sound = 0;
        int refused = 0;
        try {
            SplittableRandom random = new SplittableRandom(seed + 1000);
            DescriptorChain chain = new DescriptorChain(memory);
            byte[] scratch = new byte[64];
            for (int i = 0; i < POPS; i++) {
                Virtqueue queue = format.device(random);
                try {
                    if (queue.pop(chain)) {
                        check(chain);
                        chain.read(random.nextLong(0, 100), scratch, 0, 64);
                        chain.write(random.nextLong(0, 100), scratch, 0, 8);
                        queue.addUsed(chain, 1);
                        boolean _ = queue.needsInterrupt();
                        sound++;
                    }
                } catch (VirtqueueException e) {
                    refused++;
                }
            }
        } finally {
            stop.set(true);
            mutator.join();
        }
        assertThat(sound).as("seed %d: chains that were sound", seed).isPositive();
        assertThat(refused).as("seed %d: chains that were refused", seed).isPositive();
    }

    private void check(DescriptorChain chain) {
        assertThat(chain.count()).isBetween(1, SIZE);
        long total = 0;
        for (int i = 0; i < chain.count(); i++) {
            assertThat(memory.contains(chain.address(i), chain.length(i))).isTrue();
            total += chain.length(i);
        }
        assertThat(chain.readableLength() + chain.writableLength()).isEqualTo(total);
    }

    private void mutate(SplittableRandom random, Format format, AtomicBoolean stop) {
        while (!stop.get()) {
            boolean inTable = random.nextBoolean();
            long at = (inTable ? table : format.driver().descriptors()) + 16L * random.nextInt(SIZE);
            // flags 1: next, 2: write, 4: indirect; bad ones now and then only, so that good chains come about as well
            int flags = random.nextInt(20) == 0 ? random.nextInt(0x10000) : random.nextInt(inTable ? 2 : 5);
            boolean leadsToTable = !inTable && (flags & 4) != 0;
            long address =
                    leadsToTable ? table : random.nextInt(20) == 0 ? random.nextLong() : random.nextLong(MEMORY / 2);
            int length = leadsToTable
                    ? 16 * random.nextInt(1, SIZE + 1)
                    : random.nextInt(random.nextInt(20) == 0 ? 0 : 1, 4096);
            format.write(random, at, address, length, flags);
        }
    }
}
