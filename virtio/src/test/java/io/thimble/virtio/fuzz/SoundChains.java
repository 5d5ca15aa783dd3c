package io.thimble.virtio.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.Virtqueue;

/** What the fuzz targets of both formats of virtqueues do. */
final class SoundChains {
    private SoundChains() {}

    /** An address in memory mostly. */
    static long address(FuzzedDataProvider data, int memory, int alignment) {
        return data.consumeInt(0, 9) == 0 ? data.consumeLong() : data.consumeLong(0, memory) & -alignment;
    }

    /** Writes the rest of the input all over memory. */
    static void scatter(FuzzedDataProvider data, GuestMemory memory, int size) {
        while (data.remainingBytes() > 0) {
            byte[] part = data.consumeBytes(data.consumeInt(1, 64));
            int at = data.consumeInt(0, size - 64);
            memory.write(at, part, 0, part.length);
        }
    }

    /**
     * Serves a queue: what is popped lies in memory and is no longer than the queue; there are no more pops than the ring has
     * entries.
     */
    static void use(Virtqueue queue, GuestMemory memory) {
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
