package io.thimble.virtio.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.SplitVirtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import io.thimble.virtio.queue.VirtqueueState;
import io.thimble.virtio.testing.MockMemory;

/**
 * A split queue anywhere in memory of any content: a chain that is popped lies in memory and is no longer than the queue;
 * nothing but {@link VirtqueueException} is thrown; an input costs no more pops than the ring has entries.
 */
class SplitVirtqueueFuzzTest {
    private static final int MEMORY = 64 << 10;
    private static final GuestMemory REUSED = new MockMemory(MEMORY).memory();

    @FuzzTest(maxDuration = "1m")
    void pops_sound_chains_or_refuses(FuzzedDataProvider data) {
        GuestMemory memory = REUSED;
        memory.fill(0, MEMORY, (byte) 0);
        VirtqueueState state = new VirtqueueState(
                1 << data.consumeInt(0, 16),
                address(data, 16),
                address(data, 2),
                address(data, 4),
                data.consumeInt(0, 0xffff),
                data.consumeInt(0, 0xffff),
                data.consumeInt(0, 0xffff));
        boolean eventIndex = data.consumeBoolean();
        boolean indirect = data.consumeBoolean();
        while (data.remainingBytes() > 0) {
            byte[] part = data.consumeBytes(data.consumeInt(1, 64));
            int at = data.consumeInt(0, MEMORY - 64);
            memory.write(at, part, 0, part.length);
        }
        try {
            use(new SplitVirtqueue(memory, state, eventIndex, indirect), memory);
        } catch (VirtqueueException e) {
            // what a driver deserves that breaks a rule
        }
    }

    private static long address(FuzzedDataProvider data, int alignment) {
        return data.consumeInt(0, 9) == 0 ? data.consumeLong() : data.consumeLong(0, MEMORY) & -alignment;
    }

    private static void use(SplitVirtqueue queue, GuestMemory memory) {
        DescriptorChain chain = new DescriptorChain(memory);
        byte[] bytes = new byte[16];
        for (int pops = 0; pops <= queue.size() && queue.pop(chain); pops++) {
            if (chain.count() == 0 || chain.count() > queue.size()) {
                throw new AssertionError("a chain of " + chain.count());
            }
            for (int i = 0; i < chain.count(); i++) {
                if (!memory.contains(chain.address(i), chain.length(i)) || chain.length(i) == 0) {
                    throw new AssertionError(chain + " leaves memory");
                }
            }
            chain.read(0, bytes, 0, bytes.length);
            queue.addUsed(chain, chain.write(chain.writableLength() / 2, bytes, 0, bytes.length));
            boolean _ = queue.needsInterrupt();
            boolean _ = queue.enableNotifications();
            queue.disableNotifications();
        }
    }
}
