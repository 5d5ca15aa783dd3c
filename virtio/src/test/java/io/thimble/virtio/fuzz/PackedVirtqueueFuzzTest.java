package io.thimble.virtio.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.queue.PackedVirtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import io.thimble.virtio.queue.VirtqueueState;
import io.thimble.virtio.testing.MockMemory;

/** A packed queue anywhere in memory of any content: as {@link SoundChains} says, and only {@link VirtqueueException} is thrown. */
class PackedVirtqueueFuzzTest {
    private static final int MEMORY = 64 << 10;
    private static final GuestMemory REUSED = new MockMemory(MEMORY).memory();

    @FuzzTest(maxDuration = "1m")
    void pops_sound_chains_or_refuses(FuzzedDataProvider data) {
        GuestMemory memory = REUSED;
        memory.fill(0, MEMORY, (byte) 0);
        int size = data.consumeInt(0, 9) == 0 ? data.consumeInt(0, 32769) : data.consumeInt(1, 64);
        long ring = SoundChains.address(data, MEMORY, 16);
        boolean taken = data.consumeBoolean();
        int used = index(data, size);
        VirtqueueState state = new VirtqueueState(
                size,
                ring,
                SoundChains.address(data, MEMORY, 4),
                SoundChains.address(data, MEMORY, 4),
                taken ? index(data, size) : used,
                used,
                index(data, size));
        boolean eventIndex = data.consumeBoolean();
        boolean indirect = data.consumeBoolean();
        int descriptors = data.consumeInt(0, 64);
        for (int i = 0; i < descriptors && memory.contains(ring + 16L * i, 16); i++) {
            memory.putLong(ring + 16L * i, data.consumeLong(-1, MEMORY + 1));
            memory.putInt(ring + 16L * i + 8, data.consumeInt(-1, 4096));
            memory.putInt(ring + 16L * i + 12, data.consumeInt());
        }
        SoundChains.scatter(data, memory, MEMORY);
        try {
            SoundChains.use(new PackedVirtqueue(memory, state, eventIndex, indirect), memory);
        } catch (VirtqueueException e) {
            // what a driver deserves that breaks a rule
        }
    }

    /** A place in the ring mostly, with its wrap counter. */
    private static int index(FuzzedDataProvider data, int size) {
        return data.consumeInt(0, 9) == 0
                ? data.consumeInt(0, 0xffff)
                : data.consumeInt(0, Math.max(0, size - 1)) | (data.consumeBoolean() ? 0x8000 : 0);
    }
}
