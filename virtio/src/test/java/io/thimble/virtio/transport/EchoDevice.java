package io.thimble.virtio.transport;

import io.thimble.linux.abi.VirtioIdsConstants;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.Virtqueue;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A device that answers each buffer with what it reads in it; a test can make it slow. */
final class EchoDevice implements VirtioDevice {
    static final long FEATURE = 1L << 3;

    final List<Activation> activations = new ArrayList<>();
    final List<String> written = new ArrayList<>();
    boolean holdResets;
    volatile @Nullable Runnable heldReset;
    int mostAtOnce = Integer.MAX_VALUE;

    private final ConfigSpace config = new ConfigSpace(8);
    private @Nullable Activation active;
    private int served;

    record State(int served) {}

    @Override
    public int deviceId() {
        return VirtioIdsConstants.VIRTIO_ID_RNG;
    }

    @Override
    public String name() {
        return "echo";
    }

    @Override
    public long features() {
        return FEATURE;
    }

    @Override
    public int queueCount() {
        return 1;
    }

    @Override
    public int maxQueueSize(int index) {
        return 16;
    }

    @Override
    public ConfigSpace config() {
        return config;
    }

    @Override
    public void configWritten(int offset, int size, int value) {
        written.add(offset + "/" + size + "=" + Integer.toHexString(value));
    }

    @Override
    public void activate(Activation activation) {
        Virtqueue _ = activation.requireQueue(0);
        activations.add(activation);
        active = activation;
    }

    @Override
    public boolean queueNotified(int index) {
        Activation now = active;
        if (now == null) {
            return false;
        }
        Virtqueue queue = now.requireQueue(index);
        DescriptorChain chain = new DescriptorChain(now.memory());
        int done = 0;
        while (done < mostAtOnce && queue.pop(chain)) {
            byte[] bytes = new byte[(int) Math.min(chain.readableLength(), 4096)];
            chain.read(0, bytes, 0, bytes.length);
            queue.addUsed(chain, chain.write(0, bytes, 0, bytes.length));
            done++;
            served++;
        }
        if (queue.needsInterrupt()) {
            now.interrupt().signalQueue(index);
        }
        return done == mostAtOnce || queue.enableNotifications();
    }

    @Override
    public void reset(Runnable stopped) {
        active = null;
        if (holdResets) {
            heldReset = stopped;
        } else {
            stopped.run();
        }
    }

    @Override
    public void pause(Runnable quiet) {
        quiet.run();
    }

    @Override
    public void resume() {}

    @Override
    public State state() {
        return new State(served);
    }

    @Override
    public void restore(Record state) {
        served = ((State) state).served();
    }

    @Override
    public boolean close(Duration deadline) {
        active = null;
        return true;
    }
}
