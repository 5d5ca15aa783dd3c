package io.thimble.virtio.rng;

import io.thimble.linux.Syscall;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.Syscalls;
import io.thimble.linux.abi.VirtioIdsConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.Virtqueue;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The entropy device (virtio 1.2, section 5.4): fills buffers with random bytes of the host's kernel (getrandom(2)), straight
 * into guest memory. It gives at most {@value #MOST_AT_ONCE} bytes a buffer, which is what a driver asks for at once, so
 * that a guest cannot keep the loop's thread busy.
 */
public final class RngDevice implements VirtioDevice {
    private static final int QUEUE = 0;
    private static final int QUEUE_SIZE = 64;
    private static final int MOST_AT_ONCE = 4096;
    /** After so many bytes others have their turn. */
    private static final int MOST_A_TURN = 16 * MOST_AT_ONCE;

    private final ConfigSpace config = new ConfigSpace(0);
    private @Nullable Activation active;
    private @Nullable DescriptorChain chain;

    /** It holds nothing but its queue. */
    public record State() {}

    /** Makes the device. */
    public RngDevice() {}

    @Override
    public int deviceId() {
        return VirtioIdsConstants.VIRTIO_ID_RNG;
    }

    @Override
    public String name() {
        return "rng";
    }

    @Override
    public long features() {
        return 0;
    }

    @Override
    public int queueCount() {
        return 1;
    }

    @Override
    public int maxQueueSize(int index) {
        return QUEUE_SIZE;
    }

    @Override
    public ConfigSpace config() {
        return config;
    }

    @Override
    public void activate(Activation activation) {
        active = activation;
        chain = new DescriptorChain(activation.memory());
    }

    @Override
    public boolean queueNotified(int index) {
        Activation now = active;
        DescriptorChain buffer = chain;
        if (now == null || buffer == null) {
            return false;
        }
        Virtqueue queue = now.requireQueue(QUEUE);
        int given = 0;
        do {
            queue.disableNotifications();
            while (given < MOST_A_TURN && queue.pop(buffer)) {
                int filled = fill(now.memory(), buffer);
                queue.addUsed(buffer, filled);
                given += Math.max(filled, 1);
            }
        } while (given < MOST_A_TURN && queue.enableNotifications());
        if (queue.needsInterrupt()) {
            now.interrupt().signalQueue(QUEUE);
        }
        return given >= MOST_A_TURN;
    }

    private static int fill(GuestMemory memory, DescriptorChain buffer) {
        int filled = 0;
        for (int i = buffer.readableCount(); i < buffer.count() && filled < MOST_AT_ONCE; i++) {
            int length = (int) Math.min(buffer.length(i), MOST_AT_ONCE - filled);
            memory.translateForWriting(buffer.address(i), length, RngDevice::fill);
            filled += length;
        }
        return filled;
    }

    private static void fill(long address, long length) {
        long done = 0;
        while (done < length) {
            long result = Syscall.call(Syscalls.SYS_getrandom, address + done, length - done, 0);
            if (result < 0 && result != -Errnos.EINTR) {
                throw new IllegalStateException("getrandom: errno " + -result);
            }
            done += Math.max(result, 0);
        }
    }

    @Override
    public void reset(Runnable stopped) {
        active = null;
        stopped.run();
    }

    @Override
    public void pause(Runnable quiet) {
        quiet.run();
    }

    @Override
    public void resume() {}

    @Override
    public State state() {
        return new State();
    }

    @Override
    public void restore(Record state) {
        if (!(state instanceof State)) {
            throw new IllegalArgumentException("no state of an entropy device: " + state);
        }
    }

    @Override
    public boolean close(Duration deadline) {
        active = null;
        return true;
    }
}
