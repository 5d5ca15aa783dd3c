package io.thimble.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockPackedQueue;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockSplitQueue;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MockQueueTest {
    private static final int SIZE = 8;

    /** Otherwise the device sees an available index that has jumped, and wants a reset. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void a_new_queue_is_empty_whatever_the_memory_held(boolean packed) {
        MockMemory places = new MockMemory(1 << 16);
        places.memory().fill(0, 1 << 16, (byte) 0x41);

        MockQueue queue = packed ? new MockPackedQueue(places, SIZE) : new MockSplitQueue(places, SIZE);

        for (long field : List.of(queue.descriptors(), queue.driver(), queue.device())) {
            assertThat(places.memory().getInt(field)).isZero();
        }
        assertThat(queue.pollUsed()).isEmpty();
    }
}
