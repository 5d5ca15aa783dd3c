package io.thimble.virtio.block;

import io.thimble.linux.Mman;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.linux.abi.VirtioBlkConstants;
import io.thimble.memory.GuestMemoryException;
import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.device.Poller;
import io.thimble.virtio.device.Throttle;
import io.thimble.virtio.queue.IoVectors;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A disk at work for one driver, from its activation to the next reset: takes requests out of the queues, has them carried out
 * and returns them. All that is available goes to the engine in one submission, and all that has completed is told to the
 * driver by one interrupt a queue. The driver need not notify while the loop is awake. The loop's only, except {@link #wake}.
 */
final class BlockQueues implements Poller {
    /** After so many requests others have their turn. */
    private static final int MOST_A_TURN = 256;

    /** Vectors a request: a page of them, of which those that are never used take no memory. */
    private static final int IOVECS_BYTES = 256 * IoVectors.SIZEOF;

    private final BlockDevice device;
    private final Activation activation;
    private final DiskImage image;
    private final BlockEngine engine;
    private final Throttle throttle;
    private final BlockCounters counters;
    private final BlockExecutor executor;
    private final BlockEngine.Completions completions;
    private final Runnable wakeUp;

    private final @Nullable Virtqueue[] queues;
    private final boolean[] returned;
    /** Queues whose driver was asked to notify, and was not seen to have done anything since. */
    private final boolean[] armed;
    /** Queues with buffers that wait for something else than a notification: a place, or the rate limit. */
    private final boolean[] waiting;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment iovecs;
    private final BlockIo[] requests;
    /** A stack of the ids that are not under way: the one used last is the one whose memory is warm. */
    private final int[] free;

    private int freeCount;
    private int made;
    private long watchKey;
    private boolean broken;
    private boolean paused;
    private boolean stopping;
    private @Nullable Runnable whenQuiet;

    BlockQueues(
            BlockDevice device,
            Activation activation,
            DiskImage image,
            BlockEngine engine,
            Throttle throttle,
            BlockCounters counters,
            BlockOptions options,
            DeviceListener listener) {
        this.device = device;
        this.activation = activation;
        this.image = image;
        this.engine = engine;
        this.throttle = throttle;
        this.counters = counters;
        int capacity = engine.capacity();
        this.iovecs = Mman.anonymous(arena, (long) capacity * IOVECS_BYTES);
        this.requests = new BlockIo[capacity];
        this.free = new int[capacity];
        this.queues = new Virtqueue[activation.queues().size()];
        this.returned = new boolean[queues.length];
        this.armed = new boolean[queues.length];
        this.waiting = new boolean[queues.length];
        for (int i = 0; i < queues.length; i++) {
            Optional<Virtqueue> queue = activation.queues().get(i);
            queues[i] = queue.orElse(null);
        }
        this.executor = new BlockExecutor(
                device.name(), image, engine, options.serialBytes(), requests, arena, counters, listener, this::ended);
        this.completions = executor::completed;
        this.wakeUp = activation.faults().guarded(this::work);
    }

    /** Listens to the engine. */
    void start() {
        int interest = EventpollConstants.EPOLLIN | (int) EventpollConstants.EPOLLET;
        watchKey = activation.loop().watch(engine.event(), interest, wakeUp);
        activation.loop().addPoller(this);
    }

    /** Looks into the queues soon; from any thread. */
    void wake() {
        boolean _ = activation.loop().post(wakeUp);
    }

    /** Serves one queue; tells whether there is more to do. */
    boolean notified(int index) {
        boolean more = false;
        try {
            more = take(index);
        } finally {
            engine.submit();
        }
        finish();
        return more;
    }

    @Override
    public boolean poll() {
        boolean found = engine.hasCompletions();
        for (int i = 0; i < queues.length && !found; i++) {
            found = hasNews(i);
        }
        if (found) {
            wakeUp.run();
        }
        return found;
    }

    /** What is wrong with a queue is for {@link #take} to find out. */
    private boolean hasNews(int index) {
        Virtqueue queue = queues[index];
        try {
            return queue != null && mayTake() && !waiting[index] && queue.hasAvailable();
        } catch (VirtqueueException _) {
            return true;
        }
    }

    @Override
    public boolean beforeSleep() {
        boolean found = engine.wantEvent();
        for (int i = 0; i < queues.length; i++) {
            found |= arm(i);
        }
        return found;
    }

    private boolean arm(int index) {
        Virtqueue queue = queues[index];
        if (queue == null || !mayTake() || armed[index] || waiting[index]) {
            return false;
        }
        armed[index] = true;
        try {
            return queue.enableNotifications();
        } catch (VirtqueueException _) {
            return true;
        }
    }

    private boolean mayTake() {
        return !paused && !stopping && !broken;
    }

    /** The engine has news, a rate limit lets requests through again, or the owner has changed something. */
    private void work() {
        if (stopping && engine.inFlight() == 0) {
            return;
        }
        try {
            boolean more = false;
            for (int i = 0; i < queues.length; i++) {
                more |= take(i);
            }
            if (more) {
                wake();
            }
        } finally {
            engine.submit();
        }
        finish();
    }

    /** Takes requests and queues their I/O until there is none, or no more may be under way. */
    private boolean take(int index) {
        Virtqueue queue = queues[index];
        if (queue == null || !mayTake()) {
            return false;
        }
        waiting[index] = false;
        try {
            for (int left = MOST_A_TURN; queue.hasAvailable(); left--) {
                if (armed[index]) {
                    armed[index] = false;
                    queue.disableNotifications();
                }
                if (freeCount == 0 && made == requests.length) {
                    // finish() comes back when some have completed; until then the driver need not notify.
                    waiting[index] = true;
                    return false;
                }
                long delay = throttle.delay();
                if (delay > 0) {
                    counters.add(BlockCounters.THROTTLED, 1);
                    throttle.later(activation.loop(), delay, wakeUp);
                    waiting[index] = true;
                    return false;
                }
                if (left == 0) {
                    return true;
                }
                takeOne(queue, index);
            }
            return false;
        } catch (VirtqueueException | GuestMemoryException e) {
            broken = true;
            throw e;
        }
    }

    private void takeOne(Virtqueue queue, int index) {
        BlockIo io = freeCount > 0 ? requests[free[--freeCount]] : make();
        boolean started = false;
        try {
            queue.pop(io.chain);
            io.begin(index);
            io.request.parse(io.chain, device.capacity(), image.isReadOnly(), image.logicalBlockSize());
            started = true;
        } finally {
            if (!started) {
                free[freeCount++] = io.id;
            }
        }
        int type = io.request.type();
        boolean transfer = type == VirtioBlkConstants.VIRTIO_BLK_T_IN || type == VirtioBlkConstants.VIRTIO_BLK_T_OUT;
        throttle.take(transfer ? io.request.length() : 0);
        executor.setWriteThrough(device.isWriteThrough());
        executor.start(io);
    }

    private BlockIo make() {
        int id = made++;
        BlockIo io = new BlockIo(id, activation.memory(), iovecs.asSlice((long) id * IOVECS_BYTES, IOVECS_BYTES));
        requests[id] = io;
        return io;
    }

    /** A request has ended: the driver gets it back, unless it is being reset. */
    private void ended(BlockIo io, int status) {
        Virtqueue queue = queues[io.queue];
        if (!stopping && queue != null) {
            long writable = io.chain.writableLength();
            io.chain.writeByte(writable - 1, (byte) status);
            // Only a request that succeeded has written all that lies before the status.
            boolean whole = status == VirtioBlkConstants.VIRTIO_BLK_S_OK || writable == 1;
            queue.addUsed(io.chain, whole ? writable : 0);
            returned[io.queue] = true;
        }
        free[freeCount++] = io.id;
    }

    /** Takes what has completed, tells the driver, and takes what it has for the places that became free. */
    private void finish() {
        boolean full = freeCount == 0 && made == requests.length;
        while (engine.complete(completions) > 0) {
            // A request that moved too little goes on.
            engine.submit();
        }
        signal();
        if (freeCount == made && whenQuiet != null) {
            Runnable quiet = whenQuiet;
            whenQuiet = null;
            quiet.run();
        } else if (full && freeCount > 0) {
            wake();
        }
    }

    private void signal() {
        for (int i = 0; i < queues.length; i++) {
            Virtqueue queue = queues[i];
            if (returned[i] && queue != null) {
                returned[i] = false;
                if (queue.needsInterrupt()) {
                    activation.interrupt().signalQueue(i);
                }
            }
        }
    }

    void pause(Runnable quiet) {
        paused = true;
        throttle.cancel();
        whenQuiet = quiet;
        finish();
    }

    void resume() {
        paused = false;
    }

    /** Ends the work for this driver; {@code stopped} is run when nothing is under way any more. */
    void stop(Runnable stopped) {
        stopping = true;
        throttle.cancel();
        whenQuiet = () -> {
            activation.loop().unwatch(engine.event(), watchKey);
            activation.loop().removePoller(this);
            arena.close();
            stopped.run();
        };
        finish();
    }

    /** Frees the memory, if the engine uses it no more. */
    void close(boolean ended) {
        activation.loop().removePoller(this);
        if (ended) {
            arena.close();
        }
    }
}
