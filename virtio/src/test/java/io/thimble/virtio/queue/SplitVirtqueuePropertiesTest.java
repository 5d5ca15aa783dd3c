package io.thimble.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.testing.MockSplitQueue;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What holds for a split virtqueue (virtio 1.2, section 2.7) besides {@link VirtqueueProperties}:
 * <ol>
 *   <li>an available index that jumps by more than the queue's size is refused;
 *   <li>a descriptor index outside its table is refused;
 *   <li>a loop is refused after at most as many steps as the queue has descriptors;
 *   <li>an indirect table inside another is refused;
 *   <li>sizes that are no power of 2 are refused;
 *   <li>notifications are asked for by flag or by index as negotiated, and indexes are modulo 65,536.
 * </ol>
 */
class SplitVirtqueuePropertiesTest extends VirtqueueProperties {
    @Override
    MockSplitQueue driver(MockMemory in, int size) {
        return new MockSplitQueue(in, size);
    }

    @Override
    MockSplitQueue driver(int size) {
        return driver(places, size);
    }

    @Override
    Virtqueue device(GuestMemory in, VirtqueueState state, boolean eventIndex, boolean indirect) {
        return new SplitVirtqueue(in, state, eventIndex, indirect);
    }

    @Override
    VirtqueueState fresh(MockQueue driver) {
        return VirtqueueState.ofNew(driver.size(), driver.descriptors(), driver.driver(), driver.device(), false);
    }

    @Override
    int randomSize(SplittableRandom random, int most) {
        return 1 << random.nextInt(0, Integer.numberOfTrailingZeros(most) + 1);
    }

    @Override
    int[] wrongSizes() {
        return new int[] {0, -8, 3, 12, 65536, Integer.MIN_VALUE};
    }

    @Override
    boolean mayWrite(MockQueue driver, long address) {
        return address >= driver.device() && address < driver.device() + 6 + 8L * driver.size();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 256})
    void refuses_an_available_index_that_jumps(int size) {
        MockSplitQueue driver = driver(size);
        Virtqueue device = device(driver, false, false);
        driver.setAvailableIndex(size + 1);
        assertThatThrownBy(() -> device.pop(chain)).isInstanceOf(VirtqueueException.class);
        assertThatThrownBy(device::hasAvailable).isInstanceOf(VirtqueueException.class);
        driver.setAvailableIndex(-1);
        assertThatThrownBy(device::enableNotifications).isInstanceOf(VirtqueueException.class);
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 5, 0x7fff, 0xffff})
    void refuses_a_descriptor_index_outside_its_table(int index) {
        MockSplitQueue driver = driver(4);
        driver.makeAvailable(index);
        assertThatThrownBy(() -> device(driver, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);

        MockSplitQueue second = driver(4);
        second.setDescriptor(0, 0, 1, VirtioRingConstants.VRING_DESC_F_NEXT, index);
        second.makeAvailable(0);
        assertThatThrownBy(() -> device(second, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);

        long table = places.allocate(2 * 16, 16);
        MockSplitQueue third = driver(4);
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
        MockSplitQueue driver = driver(size);
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
    void refuses_an_indirect_table_inside_another() {
        long table = places.allocate(16, 16);
        MockSplitQueue driver = driver(4);
        driver.setDescriptorAt(table, table, 16, VirtioRingConstants.VRING_DESC_F_INDIRECT, 0);
        driver.addRaw(table, 16, VirtioRingConstants.VRING_DESC_F_INDIRECT);
        assertThatThrownBy(() -> device(driver, false, true).pop(chain)).isInstanceOf(VirtqueueException.class);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void notifications_are_asked_for_as_negotiated(boolean eventIndex) {
        MockSplitQueue driver = driver(8);
        Virtqueue device = device(driver, eventIndex, false);
        device.disableNotifications();
        assertThat(driver.usedFlags()).isEqualTo(eventIndex ? 0 : VirtioRingConstants.VRING_USED_F_NO_NOTIFY);
        assertThat(device.enableNotifications()).isFalse();
        assertThat(driver.usedFlags()).isZero();
        driver.add(Piece.readable(0, 1));
        assertThat(device.pop(chain)).isTrue();
        assertThat(device.enableNotifications()).isFalse();
        assertThat(driver.availableEvent()).isEqualTo(eventIndex ? 1 : 0);
    }

    @Test
    void the_used_index_is_modulo_65536() {
        MockSplitQueue driver = driver(4);
        Virtqueue device = device(driver, true, false);
        for (int i = 0; i < 70_000; i++) {
            driver.add(Piece.writable(0, 1));
            assertThat(device.pop(chain)).isTrue();
            device.addUsed(chain, 0);
            driver.takeUsed();
        }
        assertThat(driver.usedIndex()).isEqualTo(70_000 & 0xffff);
    }
}
