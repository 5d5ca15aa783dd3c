package io.thimble.virtio.transport;

import io.thimble.linux.abi.EventpollConstants;
import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.memory.GuestMemoryException;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.DeviceInterrupt;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.queue.PackedVirtqueue;
import io.thimble.virtio.queue.SplitVirtqueue;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import io.thimble.virtio.queue.VirtqueueState;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A device at work for one driver: from DRIVER_OK to the next reset. Everything happens on the loop's thread, except the
 * interrupts, which any thread may raise.
 */
final class Session implements DeviceInterrupt {
    /** Each notification is an event of its own, so that the eventfd need never be read (epoll(7)). */
    private static final int INTEREST = EventpollConstants.EPOLLIN | (int) EventpollConstants.EPOLLET;

    private final TransportCore core;
    private final VirtioDevice device;
    private final GuestMemory memory;
    private final long features;
    private final DeviceLoop loop;
    private final List<Optional<Virtqueue>> queues = new ArrayList<>();
    private final long[] watchKeys;
    private final Server[] servers;

    private boolean activated;
    private boolean broken;
    private boolean paused;
    private volatile boolean over;

    Session(TransportCore core, VirtioDevice device, GuestMemory memory, long features, DeviceLoop loop) {
        this.core = core;
        this.device = device;
        this.memory = memory;
        this.features = features;
        this.loop = loop;
        this.watchKeys = new long[core.queueCount()];
        this.servers = new Server[core.queueCount()];
        for (int i = 0; i < servers.length; i++) {
            servers[i] = new Server(i);
        }
    }

    /** Serves one queue, when it is notified and in turns: at most one is waiting, however often the driver notifies. */
    private final class Server {
        final Runnable notified = this::serve;
        private final int index;
        private final Runnable turn = this::takeTurn;
        private boolean waiting;

        Server(int index) {
            this.index = index;
        }

        void post() {
            if (!waiting) {
                waiting = loop.post(turn);
            }
        }

        private void takeTurn() {
            waiting = false;
            serve();
        }

        private void serve() {
            if (broken || paused || over) {
                return;
            }
            try {
                if (device.queueNotified(index)) {
                    post();
                }
            } catch (VirtqueueException | GuestMemoryException e) {
                fail(String.valueOf(e.getMessage()));
            }
        }
    }

    void start(List<Optional<VirtqueueState>> ready) {
        try {
            for (int i = 0; i < ready.size(); i++) {
                int most = device.maxQueueSize(i);
                queues.add(ready.get(i).map(state -> queue(state, most)));
            }
            activated = true;
            device.activate(new Activation(memory, queues, features, this, loop, this::fail));
        } catch (VirtqueueException | GuestMemoryException e) {
            fail(String.valueOf(e.getMessage()));
            return;
        }
        for (int i = 0; i < servers.length; i++) {
            if (queues.get(i).isPresent()) {
                watchKeys[i] = loop.watch(core.notifier(i).fd(), INTEREST, servers[i].notified);
                servers[i].post();
            }
        }
    }

    private Virtqueue queue(VirtqueueState state, int most) {
        if (state.size() > most) {
            throw new VirtqueueException("a queue of " + state.size() + " descriptors where " + most + " are the most");
        }
        boolean eventIndex = has(VirtioRingConstants.VIRTIO_RING_F_EVENT_IDX);
        boolean indirect = has(VirtioRingConstants.VIRTIO_RING_F_INDIRECT_DESC);
        return has(VirtioConfigConstants.VIRTIO_F_RING_PACKED)
                ? new PackedVirtqueue(memory, state, eventIndex, indirect)
                : new SplitVirtqueue(memory, state, eventIndex, indirect);
    }

    private boolean has(int bit) {
        return (features & (1L << bit)) != 0;
    }

    private void fail(String reason) {
        if (!broken && !over) {
            broken = true;
            core.fail(reason);
        }
    }

    /** Ends the session; {@code stopped} is run when the device touches guest memory no more. */
    void stop(Runnable stopped) {
        abandon();
        if (activated) {
            device.reset(stopped);
        } else {
            stopped.run();
        }
    }

    /** Ends the session without a word to the device, which is to be closed. */
    void abandon() {
        over = true;
        for (int i = 0; i < watchKeys.length; i++) {
            if (watchKeys[i] != 0) {
                loop.unwatch(core.notifier(i).fd(), watchKeys[i]);
                watchKeys[i] = 0;
            }
        }
    }

    void pause(Runnable quiet) {
        paused = true;
        if (activated) {
            device.pause(quiet);
        } else {
            quiet.run();
        }
    }

    void resume() {
        paused = false;
        if (activated) {
            device.resume();
            for (int i = 0; i < servers.length; i++) {
                if (watchKeys[i] != 0) {
                    servers[i].post();
                }
            }
        }
    }

    List<Optional<VirtqueueState>> queueStates() {
        return queues.stream().map(queue -> queue.map(Virtqueue::state)).toList();
    }

    @Override
    public void signalQueue(int queue) {
        if (!over) {
            core.interrupt(VirtioMmioConstants.VIRTIO_MMIO_INT_VRING);
        }
    }

    @Override
    public void signalConfig() {
        if (!over) {
            core.interrupt(VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG);
        }
    }
}
