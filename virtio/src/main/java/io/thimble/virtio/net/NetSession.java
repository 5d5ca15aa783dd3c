package io.thimble.virtio.net;

import io.thimble.memory.GuestMemoryException;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.device.Poller;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import java.lang.foreign.Arena;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A network device at work for one driver. Work comes from two sides, the driver's notifications and the back end; either way a
 * queue that has had its turn waits for the others'. The driver need not notify of frames while the loop is awake. On the
 * loop's thread.
 */
final class NetSession implements NetBackend.Events, Poller {
    private final NetDevice device;
    private final Activation activation;
    private final Arena arena = Arena.ofShared();
    private final @Nullable ReceiveQueue[] receivers;
    private final @Nullable TransmitQueue[] transmitters;
    private final Turn[] turns;
    private final int controlIndex;
    private boolean paused;
    private boolean over;

    /** One queue's turns: at most one is waiting. */
    private final class Turn implements Runnable {
        private final BooleanSupplier queue;
        private boolean waiting;

        Turn(BooleanSupplier queue) {
            this.queue = queue;
        }

        void serve() {
            if (over || paused || waiting) {
                return;
            }
            try {
                if (queue.getAsBoolean()) {
                    waiting = activation.loop().post(this);
                }
            } catch (VirtqueueException | GuestMemoryException e) {
                over = true;
                activation.faults().needsReset(String.valueOf(e.getMessage()));
            }
        }

        @Override
        public void run() {
            waiting = false;
            serve();
        }
    }

    NetSession(NetDevice device, Activation activation, int pairs) {
        this.device = device;
        this.activation = activation;
        this.receivers = new ReceiveQueue[pairs];
        this.transmitters = new TransmitQueue[pairs];
        this.turns = new Turn[2 * pairs + 1];
        boolean multiQueue = (activation.features() & NetFeatures.MQ) != 0;
        this.controlIndex = multiQueue ? 2 * pairs : 2; // section 5.1.2
        for (int i = 0; i < turns.length; i++) {
            turns[i] = new Turn(server(i, activation.queues().get(i)));
        }
    }

    @Override
    public boolean poll() {
        boolean found = false;
        for (int pair = 0; pair < transmitters.length && !over && !paused; pair++) {
            TransmitQueue transmitter = transmitters[pair];
            if (transmitter != null && transmitter.hasNews()) {
                turns[2 * pair + 1].serve();
                found = true;
            }
        }
        return found;
    }

    @Override
    public boolean beforeSleep() {
        boolean found = false;
        for (int pair = 0; pair < transmitters.length && !over && !paused; pair++) {
            TransmitQueue transmitter = transmitters[pair];
            found |= transmitter != null && transmitter.arm();
        }
        return found;
    }

    private BooleanSupplier server(int index, Optional<Virtqueue> queue) {
        if (queue.isEmpty()) {
            return () -> false;
        }
        if (index == controlIndex) {
            return (activation.features() & NetFeatures.CTRL_VQ) == 0
                    ? () -> false
                    : new ControlQueue(device, index, queue.get(), activation)::serve;
        }
        if (index > controlIndex) {
            return () -> false;
        }
        if (index % 2 == 0) {
            ReceiveQueue receiver = new ReceiveQueue(device, index / 2, queue.get(), activation, arena);
            receivers[index / 2] = receiver;
            return receiver::serve;
        }
        TransmitQueue transmitter = new TransmitQueue(device, index / 2, queue.get(), activation, arena);
        transmitters[index / 2] = transmitter;
        return transmitter::serve;
    }

    void queueNotified(int index) {
        turns[index].serve();
    }

    @Override
    public void readable(int pair) {
        ReceiveQueue receiver = receivers[pair];
        if (receiver != null) {
            receiver.setReadable();
            turns[2 * pair].serve();
        }
    }

    @Override
    public void writable(int pair) {
        TransmitQueue transmitter = transmitters[pair];
        if (transmitter != null) {
            transmitter.setWritable();
            turns[2 * pair + 1].serve();
        }
    }

    @Override
    public void lost(String reason) {
        device.lost(reason);
    }

    DeviceLoop loop() {
        return activation.loop();
    }

    void signalConfig() {
        activation.interrupt().signalConfig();
    }

    void pause() {
        paused = true;
        if (!over) {
            for (ReceiveQueue receiver : receivers) {
                if (receiver != null) {
                    receiver.giveBack();
                }
            }
        }
    }

    void resume() {
        paused = false;
        lookAgain();
    }

    /** Whatever was waited for may have come. */
    void lookAgain() {
        for (int pair = 0; pair < receivers.length; pair++) {
            readable(pair);
            writable(pair);
        }
    }

    void close() {
        over = true;
        activation.loop().removePoller(this);
        arena.close();
    }
}
