package io.thimble.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.lang.management.ManagementFactory;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What holds for a virtqueue of either format whatever the driver does (virtio 1.2, sections 2.7 and 2.8):
 * <ol>
 *   <li>each buffer made available is popped once, in that order;
 *   <li>a popped chain has the pieces that the driver wrote, readable ones first;
 *   <li>an indirect table means the same as descriptors in the queue's own;
 *   <li>each buffer returned reaches the driver once, in that order, with its id and length;
 *   <li>buffers that are staged reach the driver when they are published, none before;
 *   <li>a chain longer than the queue is refused, one as long is taken;
 *   <li>an indirect table with NEXT, of a wrong length, outside memory or not negotiated is refused;
 *   <li>a piece that is not wholly in guest memory is refused;
 *   <li>an empty piece, and a readable piece behind a writable one, are refused;
 *   <li>areas that are misaligned or outside memory, and wrong sizes, are refused;
 *   <li>an interrupt is due if and only if the driver asked for one among the entries returned since the last question;
 *   <li>after enableNotifications no buffer is missed: it is either reported, or the driver notifies of it;
 *   <li>indexes wrap around;
 *   <li>a queue built from another's state goes on as that one would have, and undoPop undoes pop;
 *   <li>once hasAvailable has said so, pop finds a buffer, whatever the driver writes meanwhile;
 *   <li>the device writes nothing but what is its own in the rings;
 *   <li>overlapping pieces are harmless;
 *   <li>popping and returning allocate nothing.
 * </ol>
 * The subclasses add what is one format's own, {@link MutatingDriverTest} that all this holds while the driver changes everything at
 * any time.
 */
abstract class VirtqueueProperties {
    static final long MEMORY = 4 << 20;

    final MockMemory places = new MockMemory(MEMORY);
    final GuestMemory memory = places.memory();
    final DescriptorChain chain = new DescriptorChain(memory);

    static LongStream seeds() {
        return LongStream.range(1, 26);
    }

    /** Returns the driver's side of a queue. */
    abstract MockQueue driver(MockMemory in, int size);

    /** Returns the device's side, from a state. */
    abstract Virtqueue device(GuestMemory in, VirtqueueState state, boolean eventIndex, boolean indirect);

    /** Returns the state of a queue that was never used. */
    abstract VirtqueueState fresh(MockQueue driver);

    /** Returns a size of a queue, up to {@code most}. */
    abstract int randomSize(SplittableRandom random, int most);

    /** Returns sizes that are none. */
    abstract int[] wrongSizes();

    /** Tells whether the device may write to a byte of the rings. */
    abstract boolean mayWrite(MockQueue driver, long address);

    MockQueue driver(int size) {
        return driver(places, size);
    }

    Virtqueue device(MockQueue driver, boolean eventIndex, boolean indirect) {
        return device(memory, fresh(driver), eventIndex, indirect);
    }

    private Piece[] randomPieces(SplittableRandom random, int most) {
        int readable = random.nextInt(0, most + 1);
        int writable = random.nextInt(readable == 0 ? 1 : 0, Math.max(2, most + 1 - readable));
        Piece[] pieces = new Piece[readable + writable];
        for (int i = 0; i < pieces.length; i++) {
            int length = random.nextInt(1, 100_000);
            pieces[i] = new Piece(random.nextLong(0, MEMORY - length), length, i >= readable);
        }
        return pieces;
    }

    private List<Piece> pieces(DescriptorChain popped) {
        List<Piece> pieces = new ArrayList<>();
        for (int i = 0; i < popped.count(); i++) {
            pieces.add(new Piece(popped.address(i), (int) popped.length(i), i >= popped.readableCount()));
        }
        return pieces;
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void buffers_are_popped_and_returned_once_and_in_order_with_the_same_pieces(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        MockQueue driver = driver(randomSize(random, 128));
        Virtqueue device = device(driver, random.nextBoolean(), true);
        Deque<Map.Entry<Integer, Piece[]>> available = new ArrayDeque<>();
        List<DescriptorChain> popped = new ArrayList<>();
        Deque<MockQueue.Used> returned = new ArrayDeque<>();
        Map<Integer, Piece[]> inUse = new HashMap<>();
        for (int step = 0; step < 2000; step++) {
            switch (random.nextInt(4)) {
                case 0 -> {
                    Piece[] pieces = randomPieces(random, Math.min(8, driver.size()));
                    if (pieces.length <= driver.freeDescriptors()) {
                        // The places of indirect tables are not given back: some only
                        boolean indirect = random.nextInt(8) == 0;
                        int head = indirect ? driver.addIndirect(pieces) : driver.add(pieces);
                        available.add(Map.entry(head, pieces));
                        inUse.put(head, pieces);
                    }
                }
                case 1 -> {
                    DescriptorChain next = new DescriptorChain(memory);
                    boolean found = device.pop(next);
                    assertThat(found).isEqualTo(!available.isEmpty());
                    if (found) {
                        Map.Entry<Integer, Piece[]> expected = available.remove();
                        assertThat(next.id()).isEqualTo(expected.getKey());
                        assertThat(pieces(next)).containsExactly(expected.getValue());
                        popped.add(next);
                    }
                }
                case 2 -> {
                    if (!popped.isEmpty()) {
                        DescriptorChain back = popped.remove(random.nextInt(popped.size()));
                        int length = random.nextInt();
                        device.addUsed(back, Integer.toUnsignedLong(length));
                        returned.add(new MockQueue.Used(back.id(), length));
                    }
                }
                default -> {
                    var used = driver.pollUsed();
                    assertThat(used.isPresent()).isEqualTo(!returned.isEmpty());
                    used.ifPresent(u -> assertThat(u).isEqualTo(returned.remove()));
                }
            }
        }
        assertThat(inUse).isNotEmpty();
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void what_is_staged_reaches_the_driver_all_at_once(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        MockQueue driver = driver(randomSize(random, 32));
        Virtqueue device = device(driver, random.nextBoolean(), false);
        for (int round = 0; round < 100; round++) {
            int batch = random.nextInt(1, driver.size() + 1);
            List<MockQueue.Used> expected = new ArrayList<>();
            for (int i = 0; i < batch; i++) {
                driver.add(Piece.writable(0, 1));
            }
            for (int i = 0; i < batch; i++) {
                assertThat(device.pop(chain)).isTrue();
                device.stageUsed(chain, i + 1);
                expected.add(new MockQueue.Used(chain.id(), i + 1));
                assertThat(driver.hasUsed()).isFalse();
            }
            device.publishUsed();
            for (MockQueue.Used used : expected) {
                assertThat(driver.takeUsed()).isEqualTo(used);
            }
            assertThat(driver.hasUsed()).isFalse();
        }
    }

    @Test
    void refuses_an_indirect_chain_longer_than_the_queue_and_takes_one_as_long() {
        MockQueue driver = driver(4);
        Piece[] five = new Piece[5];
        Arrays.fill(five, Piece.readable(0, 1));
        driver.addIndirect(five);
        assertThatThrownBy(() -> device(driver, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);

        MockQueue second = driver(4);
        second.addIndirect(Arrays.copyOf(five, 4));
        assertThat(device(second, false, true).pop(chain)).isTrue();
        assertThat(chain.count()).isEqualTo(4);
    }

    @Test
    void refuses_indirect_tables_that_break_a_rule() {
        long table = places.allocate(16 * 16, 16);
        int indirect = VirtioRingConstants.VRING_DESC_F_INDIRECT;
        memory.putInt(table + 8, 16);
        refusesIndirect("with NEXT", table, 16, indirect | VirtioRingConstants.VRING_DESC_F_NEXT, true);
        refusesIndirect("not negotiated", table, 16, indirect, false);
        for (int length : new int[] {0, 1, 15, 17, -1}) {
            refusesIndirect("length " + length, table, length, indirect, true);
        }
        for (long address : new long[] {MEMORY - 8, MEMORY, -16, Long.MIN_VALUE, Long.MAX_VALUE}) {
            refusesIndirect("address " + address, address, 16, indirect, true);
        }
        MockQueue sound = driver(4);
        sound.addRaw(table, 16, indirect);
        assertThat(device(sound, false, true).pop(chain)).isTrue();
    }

    private void refusesIndirect(String what, long address, int length, int flags, boolean negotiated) {
        MockQueue driver = driver(4);
        driver.addRaw(address, length, flags);
        assertThatThrownBy(() -> device(driver, false, negotiated).pop(chain))
                .as(what)
                .isInstanceOf(VirtqueueException.class);
    }

    @Test
    void refuses_pieces_outside_memory_empty_ones_and_readable_behind_writable() {
        refuses(new Piece(MEMORY, 1, true));
        refuses(new Piece(MEMORY - 1, 2, false));
        refuses(new Piece(-1, 1, false));
        refuses(new Piece(Long.MAX_VALUE, 1, true));
        refuses(new Piece(0, -1, true));
        refuses(new Piece(0, 0, true));
        refuses(Piece.readable(0, 1), new Piece(0, 0, false));
        refuses(Piece.writable(0, 1), Piece.readable(0, 1));
    }

    private void refuses(Piece... pieces) {
        MockQueue direct = driver(4);
        direct.add(pieces);
        assertThatThrownBy(() -> device(direct, true, true).pop(chain)).isInstanceOf(VirtqueueException.class);
        MockQueue indirect = driver(4);
        indirect.addIndirect(pieces);
        assertThatThrownBy(() -> device(indirect, true, true).pop(chain)).isInstanceOf(VirtqueueException.class);
    }

    @Test
    void refuses_areas_that_are_misaligned_or_outside_memory_and_wrong_sizes() {
        MockQueue q = driver(8);
        for (int size : wrongSizes()) {
            refusesQueue(size, q.descriptors(), q.driver(), q.device());
        }
        refusesQueue(8, q.descriptors() + 8, q.driver(), q.device());
        refusesQueue(8, q.descriptors(), q.driver() + 1, q.device());
        refusesQueue(8, q.descriptors(), q.driver(), q.device() + 2);
        refusesQueue(8, MEMORY - 16, q.driver(), q.device());
        for (long outside : new long[] {MEMORY, -4096, Long.MIN_VALUE}) {
            refusesQueue(8, outside, q.driver(), q.device());
            refusesQueue(8, q.descriptors(), outside, q.device());
            refusesQueue(8, q.descriptors(), q.driver(), outside);
        }
    }

    private void refusesQueue(int size, long descriptors, long driver, long used) {
        VirtqueueState good = fresh(driver(8));
        VirtqueueState state = new VirtqueueState(
                size, descriptors, driver, used, good.nextAvailable(), good.nextUsed(), good.notifiedUsed());
        assertThatThrownBy(() -> device(memory, state, true, true))
                .as(state.toString())
                .isInstanceOf(VirtqueueException.class);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void an_interrupt_is_due_only_if_the_driver_asked_for_one_of_the_entries(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        boolean eventIndex = random.nextBoolean();
        MockQueue driver = driver(64);
        Virtqueue device = device(driver, eventIndex, false);
        int asked = 0;
        for (int round = 0; round < 3000; round++) {
            int batch = random.nextInt(0, 10);
            int before = asked;
            int usedEvent = asked + random.nextInt(-3, 12);
            boolean suppressed = random.nextBoolean();
            if (eventIndex) {
                driver.wantInterruptAt(usedEvent);
            } else {
                driver.setInterruptsWanted(!suppressed);
            }
            boolean named = false;
            for (int i = 0; i < batch; i++) {
                named |= asked == usedEvent;
                driver.add(Piece.writable(0, 1));
                assertThat(device.pop(chain)).isTrue();
                device.addUsed(chain, 0);
                driver.takeUsed();
                asked++;
            }
            boolean due = eventIndex ? named : batch > 0 && !suppressed;
            assertThat(device.needsInterrupt())
                    .as("buffers %d..%d, wanted at %d", before, asked - 1, usedEvent)
                    .isEqualTo(due);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void no_buffer_is_missed_after_notifications_were_enabled(boolean eventIndex) {
        MockQueue driver = driver(8);
        Virtqueue device = device(driver, eventIndex, false);
        for (int round = 0; round < 50; round++) {
            device.disableNotifications();
            assertThat(device.enableNotifications()).isFalse();
            driver.add(Piece.readable(0, 1));
            assertThat(driver.mustNotify(eventIndex)).isTrue();
            driver.add(Piece.readable(0, 1));
            assertThat(driver.mustNotify(eventIndex))
                    .as("with an event index once")
                    .isEqualTo(!eventIndex);
            device.disableNotifications();
            driver.add(Piece.readable(0, 1));
            assertThat(driver.mustNotify(eventIndex)).isFalse();
            assertThat(device.enableNotifications()).as("it came meanwhile").isTrue();
            for (int i = 0; i < 3; i++) {
                assertThat(device.pop(chain)).isTrue();
                device.addUsed(chain, 0);
                driver.takeUsed();
            }
            assertThat(device.pop(chain)).isFalse();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    void indexes_wrap_around(int size) {
        MockQueue driver = driver(size);
        Virtqueue device = device(driver, true, false);
        for (int i = 0; i < 70_000; i++) {
            int head = driver.add(Piece.writable(0, 1));
            assertThat(device.pop(chain)).isTrue();
            assertThat(chain.id()).isEqualTo(head);
            device.addUsed(chain, i);
            assertThat(driver.takeUsed()).isEqualTo(new MockQueue.Used(head, i));
            driver.wantInterruptAt(i);
            assertThat(device.needsInterrupt()).isTrue();
            assertThat(device.enableNotifications()).isFalse();
        }
        assertThat(device.pop(chain)).isFalse();
    }

    @Test
    void pop_finds_what_has_available_has_seen() {
        MockQueue driver = driver(8);
        Virtqueue device = device(driver, false, false);
        driver.add(Piece.readable(0, 1));
        assertThat(device.hasAvailable()).isTrue();
        memory.fill(driver.descriptors() + 12, 4, (byte) 0);
        memory.fill(driver.driver(), 4, (byte) 0);
        assertThat(device.pop(chain)).isTrue();
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void a_queue_built_from_a_state_goes_on_as_the_other_would_have(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        MockQueue driver = driver(16);
        Virtqueue device = device(driver, true, false);
        int given = 0;
        for (int i = 0; i < 200; i++) {
            device = device(memory, device.state(), true, false);
            int head = driver.add(Piece.writable(0, 1));
            if (random.nextBoolean()) {
                assertThat(device.pop(chain)).isTrue();
                device.undoPop(chain);
            }
            assertThat(device.pop(chain)).isTrue();
            assertThat(chain.id()).isEqualTo(head);
            device.addUsed(chain, 0);
            given++;
            if (random.nextBoolean()) {
                driver.wantInterruptAt(given - 1);
                assertThat(device.needsInterrupt()).isTrue();
            }
            driver.takeUsed();
        }
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void the_device_writes_nothing_but_what_is_its_own_in_the_rings(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        MockMemory small = new MockMemory(1 << 20);
        MockQueue driver = driver(small, 32);
        Virtqueue device = device(small.memory(), fresh(driver), random.nextBoolean(), true);
        for (int i = 0; i < 32; i++) {
            driver.add(new Piece(random.nextLong(0, 1 << 19), random.nextInt(1, 1 << 19), random.nextBoolean()));
        }
        byte[] before = small.bytes(0, 1 << 20);
        DescriptorChain next = new DescriptorChain(small.memory());
        device.disableNotifications();
        while (device.pop(next)) {
            device.addUsed(next, random.nextInt());
        }
        boolean _ = device.enableNotifications();
        boolean _ = device.needsInterrupt();
        byte[] after = small.bytes(0, 1 << 20);
        for (int i = 0; i < after.length; i++) {
            if (after[i] != before[i]) {
                assertThat(mayWrite(driver, i)).as("address %d", i).isTrue();
            }
        }
    }

    @Test
    void overlapping_pieces_are_harmless() {
        MockQueue driver = driver(8);
        long at = places.allocate(new byte[] {1, 2, 3, 4, 5, 6, 7, 8});
        driver.add(Piece.readable(at, 8), Piece.readable(at + 2, 4), Piece.writable(at, 8), Piece.writable(at + 4, 8));
        Virtqueue device = device(driver, false, false);
        assertThat(device.pop(chain)).isTrue();
        byte[] read = new byte[12];
        assertThat(chain.read(0, read, 0, 12)).isEqualTo(12);
        assertThat(read).containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 3, 4, 5, 6);
        assertThat(chain.write(0, new byte[16], 0, 16)).isEqualTo(16);
    }

    @Test
    void popping_and_returning_allocate_nothing() {
        MockQueue driver = driver(256);
        Virtqueue device = device(driver, true, true);
        var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        long thread = Thread.currentThread().threadId();
        driver.add(Piece.readable(0, 16), Piece.writable(4096, 4096), Piece.writable(0, 1));
        long least = Long.MAX_VALUE;
        for (int attempt = 0; attempt < 5; attempt++) {
            long before = threads.getThreadAllocatedBytes(thread);
            for (int i = 0; i < 20_000; i++) {
                device.pop(chain);
                device.addUsed(chain, 1);
                boolean _ = device.needsInterrupt();
                boolean _ = device.enableNotifications();
                device.undoPop(chain);
            }
            least = Math.min(least, threads.getThreadAllocatedBytes(thread) - before);
        }
        // Interpreted var handles may allocate a little before they are compiled; 20,000 rounds would cost 300 KB.
        assertThat(least).isLessThan(20_000);
    }
}
