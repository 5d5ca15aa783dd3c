package io.thimble.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockPackedQueue;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What holds for a packed virtqueue (virtio 1.2, section 2.8) besides {@link VirtqueueProperties}:
 * <ol>
 *   <li>a descriptor is available if AVAIL is as the wrap counter and USED is not, only then;
 *   <li>the id is that of a chain's last descriptor;
 *   <li>a chain may go on from the ring's end to its beginning, but not into descriptors that are the device's: a loop is
 *       refused after at most as many steps as the queue has descriptors;
 *   <li>a descriptor made available again before it was used is refused;
 *   <li>an indirect descriptor in a chain is refused; flags in an indirect table but WRITE, and ids there, mean nothing;
 *   <li>a used descriptor says by WRITE whether there is a length;
 *   <li>what is staged behind the first is written, what is first is not;
 *   <li>states that no queue can have are refused;
 *   <li>an event offset behind the ring's end, or reserved flags, get an interrupt;
 *   <li>notifications are asked for by flag or by descriptor as negotiated.
 * </ol>
 */
class PackedVirtqueuePropertiesTest extends VirtqueueProperties {
    private static final int AVAIL = 1 << VirtioRingConstants.VRING_PACKED_DESC_F_AVAIL;
    private static final int USED = 1 << VirtioRingConstants.VRING_PACKED_DESC_F_USED;
    private static final int NEXT = VirtioRingConstants.VRING_DESC_F_NEXT;
    private static final int INDIRECT = VirtioRingConstants.VRING_DESC_F_INDIRECT;
    private static final int WRAP = 1 << VirtioRingConstants.VRING_PACKED_EVENT_F_WRAP_CTR;

    @Override
    MockPackedQueue driver(MockMemory in, int size) {
        return new MockPackedQueue(in, size);
    }

    @Override
    MockPackedQueue driver(int size) {
        return driver(places, size);
    }

    @Override
    Virtqueue device(GuestMemory in, VirtqueueState state, boolean eventIndex, boolean indirect) {
        return new PackedVirtqueue(in, state, eventIndex, indirect);
    }

    @Override
    VirtqueueState fresh(MockQueue driver) {
        return VirtqueueState.ofNew(driver.size(), driver.descriptors(), driver.driver(), driver.device(), true);
    }

    @Override
    int randomSize(SplittableRandom random, int most) {
        return random.nextInt(1, most + 1);
    }

    @Override
    int[] wrongSizes() {
        return new int[] {0, -8, 32769, 65536, Integer.MIN_VALUE};
    }

    @Override
    boolean mayWrite(MockQueue driver, long address) {
        long ring = address - driver.descriptors();
        return (ring >= 0 && ring < 16L * driver.size() && ring % 16 >= 8)
                || (address >= driver.device() && address < driver.device() + 4);
    }

    @Test
    void a_descriptor_is_available_only_if_both_flags_say_so() {
        for (int flags : new int[] {0, USED, AVAIL | USED}) {
            MockPackedQueue driver = driver(2);
            driver.setDescriptor(0, 0, 1, 0, flags);
            assertThat(device(driver, false, false).pop(chain)).isFalse();
        }
        MockPackedQueue driver = driver(2);
        Virtqueue device = device(driver, false, false);
        for (int lap = 0; lap < 5; lap++) {
            for (int slot = 0; slot < 2; slot++) {
                assertThat(device.pop(chain)).as("of the lap before").isFalse();
                driver.setDescriptor(slot, 0, 1, 0, lap % 2 == 0 ? USED : AVAIL);
                assertThat(device.pop(chain)).as("of the next lap").isFalse();
                driver.setDescriptor(slot, 0, 1, 0, lap % 2 == 0 ? AVAIL : USED);
                assertThat(device.pop(chain)).isTrue();
                device.addUsed(chain, 0);
            }
        }
    }

    @Test
    void the_id_is_that_of_the_last_descriptor_and_a_chain_goes_on_at_the_rings_beginning() {
        MockPackedQueue driver = driver(3);
        Virtqueue device = device(driver, false, false);
        driver.add(Piece.readable(0, 1), Piece.readable(0, 1));
        assertThat(device.pop(chain)).isTrue();
        device.addUsed(chain, 0);
        driver.takeUsed();
        driver.setDescriptor(0, 300, 3, 0xffff, USED);
        driver.setDescriptor(2, 200, 2, 5, AVAIL | NEXT);
        assertThat(device.pop(chain)).isTrue();
        assertThat(chain.id()).isEqualTo(0xffff);
        assertThat(chain.count()).isEqualTo(2);
        assertThat(chain.address(1)).isEqualTo(300);
        assertThat(device.pop(chain)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7, 256})
    void refuses_a_chain_without_an_end(int size) {
        MockPackedQueue driver = driver(size);
        for (int i = 0; i < size; i++) {
            driver.setDescriptor(i, 0, 1, 0, AVAIL | NEXT);
        }
        assertThatThrownBy(() -> device(driver, false, false).pop(chain))
                .isInstanceOf(VirtqueueException.class)
                .hasMessageContaining("loop");
        assertThat(chain.count()).isLessThanOrEqualTo(size);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void refuses_descriptors_that_are_the_devices(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int size = random.nextInt(2, 20);
        MockPackedQueue driver = driver(size);
        Virtqueue device = device(driver, false, false);
        int taken = random.nextInt(1, size + 1);
        for (int i = 0; i < taken; i++) {
            driver.add(Piece.readable(0, 1));
            assertThat(device.pop(new DescriptorChain(memory))).isTrue();
        }
        if (taken == size) {
            driver.setDescriptor(0, 0, 1, 0, USED);
            assertThatThrownBy(device::hasAvailable).isInstanceOf(VirtqueueException.class);
        } else {
            for (int i = taken; i < size; i++) {
                driver.setDescriptor(i, 0, 1, 0, AVAIL | NEXT);
            }
        }
        assertThatThrownBy(() -> device.pop(chain)).isInstanceOf(VirtqueueException.class);
    }

    @Test
    void refuses_an_indirect_descriptor_in_a_chain() {
        long table = places.allocate(16, 16);
        memory.putInt(table + 8, 16);
        MockPackedQueue driver = driver(4);
        driver.setDescriptor(1, table, 16, 0, AVAIL | INDIRECT);
        driver.setDescriptor(0, 0, 1, 0, AVAIL | NEXT);
        assertThatThrownBy(() -> device(driver, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);
    }

    @Test
    void of_an_indirect_table_only_write_means_something_and_all_of_it_is_the_chain() {
        long table = places.allocate(3 * 16, 16);
        MockPackedQueue driver = driver(4);
        driver.setDescriptorAt(table, 100, 1, 77, INDIRECT | AVAIL | USED);
        driver.setDescriptorAt(table + 16, 200, 2, 78, NEXT);
        driver.setDescriptorAt(table + 32, 300, 3, 79, VirtioRingConstants.VRING_DESC_F_WRITE | NEXT);
        int id = driver.addRaw(table, 3 * 16, INDIRECT | VirtioRingConstants.VRING_DESC_F_WRITE);
        Virtqueue device = device(driver, false, true);
        assertThat(device.pop(chain)).isTrue();
        assertThat(chain.id()).isEqualTo(id);
        assertThat(chain.count()).isEqualTo(3);
        assertThat(chain.readableLength()).isEqualTo(3);
        assertThat(chain.writableLength()).isEqualTo(3);
        device.addUsed(chain, 3);
        assertThat(driver.takeUsed()).isEqualTo(new MockQueue.Used(id, 3));
    }

    @Test
    void a_used_descriptor_tells_whether_anything_was_written() {
        MockPackedQueue driver = driver(2);
        Virtqueue device = device(driver, false, false);
        for (int written = 0; written < 2; written++) {
            driver.add(Piece.writable(0, 1));
            assertThat(device.pop(chain)).isTrue();
            device.addUsed(chain, written);
            int flags = memory.getShort(driver.descriptors() + 16L * written + 14);
            assertThat(flags & VirtioRingConstants.VRING_DESC_F_WRITE)
                    .isEqualTo(written * VirtioRingConstants.VRING_DESC_F_WRITE);
        }
    }

    @Test
    void only_the_first_that_is_staged_is_held_back() {
        MockPackedQueue driver = driver(4);
        Virtqueue device = device(driver, false, false);
        for (int i = 0; i < 3; i++) {
            driver.add(Piece.writable(0, 1));
            assertThat(device.pop(chain)).isTrue();
            device.stageUsed(chain, 1);
        }
        int both = AVAIL | USED;
        assertThat(memory.getShort(driver.descriptors() + 14) & both).isEqualTo(AVAIL);
        assertThat(memory.getShort(driver.descriptors() + 30) & both).isEqualTo(both);
        assertThat(memory.getShort(driver.descriptors() + 46) & both).isEqualTo(both);
    }

    @ParameterizedTest
    @CsvSource({"4, 0, 0", "0, 4, 0", "0, 0, 4", "0x7fff, 0, 0", "0x8001, 0x8002, 0x8000", "1, 2, 0"})
    void refuses_states_that_no_queue_can_have(String available, String used, String notified) {
        MockPackedQueue q = driver(4);
        VirtqueueState state = new VirtqueueState(
                4,
                q.descriptors(),
                q.driver(),
                q.device(),
                Integer.decode(available),
                Integer.decode(used),
                Integer.decode(notified));
        assertThatThrownBy(() -> device(memory, state, true, true))
                .as(state.toString())
                .isInstanceOf(VirtqueueException.class);
    }

    @Test
    void an_event_that_names_no_descriptor_or_reserved_flags_get_an_interrupt() {
        MockPackedQueue driver = driver(4);
        Virtqueue device = device(driver, true, false);
        int[][] events = {
            {4, VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DESC},
            {0x7fff | WRAP, VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DESC},
            {0, 3},
            {0, VirtioRingConstants.VRING_PACKED_EVENT_FLAG_ENABLE},
        };
        for (int[] event : events) {
            driver.setDriverEvent(event[0], event[1]);
            driver.add(Piece.writable(0, 1));
            assertThat(device.pop(chain)).isTrue();
            device.addUsed(chain, 0);
            driver.takeUsed();
            assertThat(device.needsInterrupt()).isTrue();
            assertThat(device.needsInterrupt()).as("nothing since").isFalse();
        }
        driver.setDriverEvent(0, VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DISABLE);
        driver.add(Piece.writable(0, 1));
        assertThat(device.pop(chain)).isTrue();
        device.addUsed(chain, 0);
        assertThat(device.needsInterrupt()).isFalse();
    }

    @Test
    void an_interrupt_is_due_for_any_descriptor_of_a_chain() {
        for (int wanted = 0; wanted < 8; wanted++) {
            MockPackedQueue driver = driver(8);
            Virtqueue device = device(driver, true, false);
            driver.add(Piece.writable(0, 1), Piece.writable(0, 1));
            assertThat(device.pop(chain)).isTrue();
            device.addUsed(chain, 0);
            assertThat(device.needsInterrupt()).isTrue();
            driver.setDriverEvent(wanted | WRAP, VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DESC);
            driver.add(Piece.writable(0, 1), Piece.writable(0, 1), Piece.writable(0, 1));
            assertThat(device.pop(chain)).isTrue();
            device.addUsed(chain, 0);
            assertThat(device.needsInterrupt()).isEqualTo(wanted >= 2 && wanted < 5);
        }
    }

    @Test
    void notifications_are_asked_for_as_negotiated() {
        MockPackedQueue driver = driver(2);
        Virtqueue byFlag = device(driver, false, false);
        byFlag.disableNotifications();
        assertThat(driver.deviceEventFlags()).isEqualTo(VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DISABLE);
        assertThat(byFlag.enableNotifications()).isFalse();
        assertThat(driver.deviceEventFlags()).isEqualTo(VirtioRingConstants.VRING_PACKED_EVENT_FLAG_ENABLE);

        MockPackedQueue second = driver(2);
        Virtqueue byDescriptor = device(second, true, false);
        for (int count = 0; count < 6; count++) {
            assertThat(byDescriptor.enableNotifications()).isFalse();
            assertThat(second.deviceEventFlags()).isEqualTo(VirtioRingConstants.VRING_PACKED_EVENT_FLAG_DESC);
            assertThat(second.deviceEventOffset()).isEqualTo(count % 2 | (count / 2 % 2 == 0 ? WRAP : 0));
            second.add(Piece.readable(0, 1));
            assertThat(byDescriptor.pop(chain)).isTrue();
            byDescriptor.addUsed(chain, 0);
            second.takeUsed();
        }
    }
}
