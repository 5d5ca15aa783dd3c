package io.thimble.virtio.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.queue.SplitVirtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import io.thimble.virtio.queue.VirtqueueState;
import io.thimble.virtio.testing.MockMemory;

/** A split queue anywhere in memory of any content: as {@link SoundChains} says, and only {@link VirtqueueException} is thrown. */
class SplitVirtqueueFuzzTest {
    private static final int MEMORY = 64 << 10;
    private static final GuestMemory REUSED = new MockMemory(MEMORY).memory();

    @FuzzTest(maxDuration = "1m")
    void pops_sound_chains_or_refuses(FuzzedDataProvider data) {
        GuestMemory memory = REUSED;
        memory.fill(0, MEMORY, (byte) 0);
        VirtqueueState state = new VirtqueueState(
                1 << data.consumeInt(0, 16),
                SoundChains.address(data, MEMORY, 16),
                SoundChains.address(data, MEMORY, 2),
                SoundChains.address(data, MEMORY, 4),
                data.consumeInt(0, 0xffff),
                data.consumeInt(0, 0xffff),
                data.consumeInt(0, 0xffff));
        boolean eventIndex = data.consumeBoolean();
        boolean indirect = data.consumeBoolean();
        SoundChains.scatter(data, memory, MEMORY);
        try {
            SoundChains.use(new SplitVirtqueue(memory, state, eventIndex, indirect), memory);
        } catch (VirtqueueException e) {
            // what a driver deserves that breaks a rule
        }
    }
}
