package io.thimble.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.memory.GuestMemory;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue;
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

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    @Timeout(120)
    void what_is_popped_is_sound_while_the_driver_changes_everything(long seed) throws InterruptedException {
        MockMemory places = new MockMemory(MEMORY);
        GuestMemory memory = places.memory();
        MockQueue driver = new MockQueue(places, SIZE);
        long table = places.allocate(SIZE * 16, 16);
        AtomicBoolean stop = new AtomicBoolean();
        Thread mutator = Thread.ofPlatform().start(() -> mutate(new SplittableRandom(seed), driver, table, stop));
        int sound = 0;
        int refused = 0;
        try {
            SplittableRandom random = new SplittableRandom(seed + 1000);
            DescriptorChain chain = new DescriptorChain(memory);
            byte[] scratch = new byte[64];
            for (int i = 0; i < POPS; i++) {
                int index = random.nextInt(0x10000);
                VirtqueueState state = new VirtqueueState(
                        SIZE, driver.descriptors(), driver.driver(), driver.device(), index, index, index);
                driver.setAvailableIndex(index + random.nextInt(1, SIZE + 1));
                SplitVirtqueue queue = new SplitVirtqueue(memory, state, random.nextBoolean(), true);
                try {
                    if (queue.pop(chain)) {
                        check(memory, chain);
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

    private static void check(GuestMemory memory, DescriptorChain chain) {
        assertThat(chain.count()).isBetween(1, SIZE);
        long total = 0;
        for (int i = 0; i < chain.count(); i++) {
            assertThat(memory.contains(chain.address(i), chain.length(i))).isTrue();
            total += chain.length(i);
        }
        assertThat(chain.readableLength() + chain.writableLength()).isEqualTo(total);
    }

    private static void mutate(SplittableRandom random, MockQueue driver, long table, AtomicBoolean stop) {
        while (!stop.get()) {
            int index = random.nextInt(SIZE);
            boolean inTable = random.nextBoolean();
            long at = (inTable ? table : driver.descriptors()) + 16L * index;
            // flags 1: next, 2: write, 4: indirect; bad ones now and then only, so that good chains come about as well
            int flags = random.nextInt(20) == 0 ? random.nextInt(0x10000) : random.nextInt(inTable ? 2 : 5);
            boolean leadsToTable = !inTable && (flags & 4) != 0;
            long address =
                    leadsToTable ? table : random.nextInt(20) == 0 ? random.nextLong() : random.nextLong(MEMORY / 2);
            int length = leadsToTable
                    ? 16 * random.nextInt(1, SIZE + 1)
                    : random.nextInt(random.nextInt(20) == 0 ? 0 : 1, 4096);
            driver.setDescriptorAt(
                    at, address, length, flags, random.nextInt(random.nextInt(20) == 0 ? 0x10000 : SIZE));
        }
    }
}
