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
 * What holds for a split virtqueue whatever the driver does (virtio 1.2, section 2.7):
 * <ol>
 *   <li>each buffer made available is popped once, in that order;
 *   <li>a popped chain has the pieces that the driver wrote, readable ones first;
 *   <li>an indirect table means the same as descriptors in the queue's table;
 *   <li>each buffer returned reaches the driver once, in that order, with its id and length;
 *   <li>an available index that jumps by more than the queue's size is refused;
 *   <li>a descriptor index outside its table is refused;
 *   <li>a chain longer than the queue, or a loop, is refused after at most as many steps as the queue has descriptors;
 *   <li>an indirect table inside another, with NEXT, of a wrong length, or not negotiated, is refused;
 *   <li>a piece that is not wholly in guest memory is refused;
 *   <li>an empty piece, and a readable piece behind a writable one, are refused;
 *   <li>areas that are misaligned or outside memory, and sizes that are no power of 2, are refused;
 *   <li>an interrupt is due if and only if the driver asked for one among the entries returned since the last question;
 *   <li>after enableNotifications no buffer is missed: it is either reported or past avail_event;
 *   <li>indexes wrap around at 65,536;
 *   <li>a queue built from another's state goes on as that one would have, and undoPop undoes pop;
 *   <li>the device writes nothing but the used ring;
 *   <li>overlapping pieces are harmless;
 *   <li>popping and returning allocate nothing.
 * </ol>
 * {@link MutatingDriverTest} adds that all this holds while the driver changes everything at any time.
 */
class SplitVirtqueuePropertiesTest {
    private static final long MEMORY = 4 << 20;

    private final MockMemory places = new MockMemory(MEMORY);
    private final GuestMemory memory = places.memory();
    private final DescriptorChain chain = new DescriptorChain(memory);

    static LongStream seeds() {
        return LongStream.range(1, 26);
    }

    private SplitVirtqueue device(MockQueue driver, boolean eventIndex, boolean indirect) {
        return new SplitVirtqueue(
                memory,
                new VirtqueueState(driver.size(), driver.descriptors(), driver.driver(), driver.device(), 0, 0, 0),
                eventIndex,
                indirect);
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
        MockQueue driver = new MockQueue(places, 1 << random.nextInt(0, 8));
        SplitVirtqueue device = device(driver, random.nextBoolean(), true);
        Deque<Map.Entry<Integer, Piece[]>> available = new ArrayDeque<>();
        List<DescriptorChain> popped = new ArrayList<>();
        Deque<MockQueue.Used> returned = new ArrayDeque<>();
        Map<Integer, Piece[]> inUse = new HashMap<>();
        for (int step = 0; step < 2000; step++) {
            switch (random.nextInt(4)) {
                case 0 -> {
                    Piece[] pieces = randomPieces(random, Math.min(8, driver.size() - 1));
                    if (pieces.length <= driver.freeDescriptors()) {
                        // the places of indirect tables are not given back: some only
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
    @ValueSource(ints = {1, 2, 256})
    void refuses_an_available_index_that_jumps(int size) {
        MockQueue driver = new MockQueue(places, size);
        SplitVirtqueue device = device(driver, false, false);
        driver.setAvailableIndex(size + 1);
        assertThatThrownBy(() -> device.pop(chain)).isInstanceOf(VirtqueueException.class);
        assertThatThrownBy(device::hasAvailable).isInstanceOf(VirtqueueException.class);
        driver.setAvailableIndex(-1);
        assertThatThrownBy(device::enableNotifications).isInstanceOf(VirtqueueException.class);
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 5, 0x7fff, 0xffff})
    void refuses_a_descriptor_index_outside_its_table(int index) {
        MockQueue driver = new MockQueue(places, 4);
        driver.makeAvailable(index);
        assertThatThrownBy(() -> device(driver, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);

        MockQueue second = new MockQueue(places, 4);
        second.setDescriptor(0, 0, 1, VirtioRingConstants.VRING_DESC_F_NEXT, index);
        second.makeAvailable(0);
        assertThatThrownBy(() -> device(second, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);

        long table = places.allocate(2 * 16, 16);
        MockQueue third = new MockQueue(places, 4);
        third.setDescriptorAt(table, 0, 1, VirtioRingConstants.VRING_DESC_F_NEXT, index);
        third.setDescriptor(0, table, 2 * 16, VirtioRingConstants.VRING_DESC_F_INDIRECT, 0);
        third.makeAvailable(0);
        assertThatThrownBy(() -> device(third, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void refuses_a_descriptor_chain_with_a_loop(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int size = 1 << random.nextInt(0, 10);
        MockQueue driver = new MockQueue(places, size);
        for (int i = 0; i < size; i++) {
            driver.setDescriptor(i, 0, 1, VirtioRingConstants.VRING_DESC_F_NEXT, random.nextInt(size));
        }
        driver.makeAvailable(random.nextInt(size));
        assertThatThrownBy(() -> device(driver, false, false).pop(chain))
                .isInstanceOf(VirtqueueException.class)
                .hasMessageContaining("loop");
        assertThat(chain.count()).isLessThanOrEqualTo(size);
    }

    @Test
    void refuses_an_indirect_chain_longer_than_the_queue_and_takes_one_as_long() {
        MockQueue driver = new MockQueue(places, 4);
        Piece[] five = new Piece[5];
        Arrays.fill(five, Piece.readable(0, 1));
        driver.addIndirect(five);
        assertThatThrownBy(() -> device(driver, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);

        MockQueue second = new MockQueue(places, 4);
        second.addIndirect(Arrays.copyOf(five, 4));
        assertThat(device(second, false, true).pop(chain)).isTrue();
        assertThat(chain.count()).isEqualTo(4);
    }

    @Test
    void refuses_indirect_tables_that_break_a_rule() {
        long table = places.allocate(16 * 16, 16);
        int indirect = VirtioRingConstants.VRING_DESC_F_INDIRECT;
        int next = VirtioRingConstants.VRING_DESC_F_NEXT;
        refusesIndirect("inside another", table, 16, indirect, true, indirect);
        refusesIndirect("with NEXT", table, 16, indirect | next, true, 0);
        refusesIndirect("not negotiated", table, 16, indirect, false, 0);
        for (int length : new int[] {0, 1, 15, 17, -1}) {
            refusesIndirect("length " + length, table, length, indirect, true, 0);
        }
        for (long address : new long[] {MEMORY - 8, MEMORY, -16, Long.MIN_VALUE, Long.MAX_VALUE}) {
            refusesIndirect("address " + address, address, 16, indirect, true, 0);
        }
    }

    private void refusesIndirect(String what, long address, int length, int flags, boolean negotiated, int entryFlags) {
        MockQueue driver = new MockQueue(places, 4);
        if (memory.contains(address, 16)) {
            driver.setDescriptorAt(address, 0, 16, entryFlags, 0);
        }
        driver.setDescriptor(0, address, length, flags, 0);
        driver.makeAvailable(0);
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
        MockQueue direct = new MockQueue(places, 4);
        direct.add(pieces);
        assertThatThrownBy(() -> device(direct, true, true).pop(chain)).isInstanceOf(VirtqueueException.class);
        MockQueue indirect = new MockQueue(places, 4);
        indirect.addIndirect(pieces);
        assertThatThrownBy(() -> device(indirect, true, true).pop(chain)).isInstanceOf(VirtqueueException.class);
    }

    @Test
    void refuses_areas_that_are_misaligned_or_outside_memory_and_wrong_sizes() {
        MockQueue q = new MockQueue(places, 8);
        for (int size : new int[] {0, -8, 3, 12, 65536, Integer.MIN_VALUE}) {
            refusesQueue(size, q.descriptors(), q.driver(), q.device());
        }
        refusesQueue(8, q.descriptors() + 8, q.driver(), q.device());
        refusesQueue(8, q.descriptors(), q.driver() + 1, q.device());
        refusesQueue(8, q.descriptors(), q.driver(), q.device() + 2);
        for (long outside : new long[] {MEMORY, MEMORY - 16, -4096, Long.MIN_VALUE}) {
            refusesQueue(8, outside, q.driver(), q.device());
            refusesQueue(8, q.descriptors(), outside, q.device());
            refusesQueue(8, q.descriptors(), q.driver(), outside);
        }
    }

    private void refusesQueue(int size, long descriptors, long driver, long used) {
        VirtqueueState state = new VirtqueueState(size, descriptors, driver, used, 0, 0, 0);
        assertThatThrownBy(() -> new SplitVirtqueue(memory, state, true, true))
                .as(state.toString())
                .isInstanceOf(VirtqueueException.class);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void an_interrupt_is_due_only_if_the_driver_asked_for_one_of_the_entries(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        boolean eventIndex = random.nextBoolean();
        MockQueue driver = new MockQueue(places, 64);
        SplitVirtqueue device = device(driver, eventIndex, false);
        int asked = 0;
        for (int round = 0; round < 3000; round++) {
            int batch = random.nextInt(0, 10);
            int before = asked;
            int usedEvent = (asked + random.nextInt(-3, 12)) & 0xffff;
            driver.setUsedEvent(usedEvent);
            boolean suppressed = random.nextBoolean();
            driver.setAvailableFlags(suppressed ? VirtioRingConstants.VRING_AVAIL_F_NO_INTERRUPT : 0);
            boolean named = false;
            for (int i = 0; i < batch; i++) {
                named |= (asked & 0xffff) == usedEvent;
                driver.add(Piece.writable(0, 1));
                assertThat(device.pop(chain)).isTrue();
                device.addUsed(chain, 0);
                driver.takeUsed();
                asked++;
            }
            boolean due = eventIndex ? named : batch > 0 && !suppressed;
            assertThat(device.needsInterrupt())
                    .as("entries %d..%d, used_event %d", before, asked - 1, usedEvent)
                    .isEqualTo(due);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void no_buffer_is_missed_after_notifications_were_enabled(boolean eventIndex) {
        MockQueue driver = new MockQueue(places, 8);
        SplitVirtqueue device = device(driver, eventIndex, false);
        device.disableNotifications();
        assertThat(driver.usedFlags()).isEqualTo(eventIndex ? 0 : VirtioRingConstants.VRING_USED_F_NO_NOTIFY);
        assertThat(device.enableNotifications()).isFalse();
        assertThat(driver.usedFlags()).isZero();
        driver.add(Piece.readable(0, 1));
        assertThat(driver.availableEvent())
                .as("the driver has to notify of entry 0")
                .isZero();
        assertThat(device.enableNotifications()).as("it came meanwhile").isTrue();
        assertThat(device.pop(chain)).isTrue();
        assertThat(device.pop(chain)).isFalse();
        assertThat(device.enableNotifications()).isFalse();
        assertThat(driver.availableEvent()).isEqualTo(eventIndex ? 1 : 0);
    }

    @Test
    void indexes_wrap_around() {
        MockQueue driver = new MockQueue(places, 4);
        SplitVirtqueue device = device(driver, true, false);
        for (int i = 0; i < 70_000; i++) {
            int head = driver.add(Piece.writable(0, 1));
            assertThat(device.pop(chain)).isTrue();
            assertThat(chain.id()).isEqualTo(head);
            device.addUsed(chain, i);
            assertThat(driver.takeUsed()).isEqualTo(new MockQueue.Used(head, i));
            driver.setUsedEvent(i);
            assertThat(device.needsInterrupt()).isTrue();
            assertThat(device.enableNotifications()).isFalse();
        }
        assertThat(driver.usedIndex()).isEqualTo(70_000 & 0xffff);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void a_queue_built_from_a_state_goes_on_as_the_other_would_have(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        MockQueue driver = new MockQueue(places, 16);
        SplitVirtqueue device = device(driver, true, false);
        int given = 0;
        for (int i = 0; i < 200; i++) {
            device = new SplitVirtqueue(memory, device.state(), true, false);
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
                driver.setUsedEvent(given - 1);
                assertThat(device.needsInterrupt()).isTrue();
            }
            driver.takeUsed();
        }
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void the_device_writes_nothing_but_the_used_ring(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        MockMemory small = new MockMemory(1 << 20);
        MockQueue driver = new MockQueue(small, 32);
        SplitVirtqueue device = new SplitVirtqueue(
                small.memory(),
                new VirtqueueState(32, driver.descriptors(), driver.driver(), driver.device(), 0, 0, 0),
                random.nextBoolean(),
                true);
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
        int from = (int) driver.device();
        int to = from + 6 + 8 * 32;
        assertThat(Arrays.mismatch(before, 0, from, after, 0, from)).isEqualTo(-1);
        assertThat(Arrays.mismatch(before, to, before.length, after, to, after.length))
                .isEqualTo(-1);
    }

    @Test
    void overlapping_pieces_are_harmless() {
        MockQueue driver = new MockQueue(places, 8);
        long at = places.allocate(new byte[] {1, 2, 3, 4, 5, 6, 7, 8});
        driver.add(Piece.readable(at, 8), Piece.readable(at + 2, 4), Piece.writable(at, 8), Piece.writable(at + 4, 8));
        SplitVirtqueue device = device(driver, false, false);
        assertThat(device.pop(chain)).isTrue();
        byte[] read = new byte[12];
        assertThat(chain.read(0, read, 0, 12)).isEqualTo(12);
        assertThat(read).containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 3, 4, 5, 6);
        assertThat(chain.write(0, new byte[16], 0, 16)).isEqualTo(16);
    }

    @Test
    void popping_and_returning_allocate_nothing() {
        MockQueue driver = new MockQueue(places, 256);
        SplitVirtqueue device = device(driver, true, true);
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
