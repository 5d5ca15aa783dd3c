package io.thimble.virtio.transport;

import io.thimble.linux.EventFd;
import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.device.ConfigSpace;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.queue.VirtqueueState;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/**
 * What every transport does for a device, whatever its registers look like: the device status field and initialization
 * (virtio 1.2, sections 2.1 and 3.1), feature negotiation (2.2), the set-up of queues, notifications both ways, and reset.
 *
 * <p><b>Threads.</b> Register accesses come from any vCPU thread; they take {@link #lock}, or that of {@link InterruptStatus}, for
 * moments. Only a write of 0 to the status waits: until
 * the device, on its loop's thread, touches guest memory no more, or until {@link #abandonWaits}. The machine's methods
 * {@link #pause}, {@link #resume} and {@link #close} are called on the loop's thread.
 */
public final class TransportCore {
    private static final int NEEDS_RESET = VirtioConfigConstants.VIRTIO_CONFIG_S_NEEDS_RESET;
    private static final int FEATURES_OK = VirtioConfigConstants.VIRTIO_CONFIG_S_FEATURES_OK;
    private static final int DRIVER_OK = VirtioConfigConstants.VIRTIO_CONFIG_S_DRIVER_OK;
    private static final long VERSION_1 = 1L << VirtioConfigConstants.VIRTIO_F_VERSION_1;
    private static final long RING_PACKED = 1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED;
    private static final long QUEUE_FEATURES = (1L << VirtioRingConstants.VIRTIO_RING_F_INDIRECT_DESC)
            | (1L << VirtioRingConstants.VIRTIO_RING_F_EVENT_IDX);

    private final VirtioDevice device;
    private final GuestMemory memory;
    private final DeviceLoop loop;
    private final InterruptTrigger trigger;
    private final DeviceListener listener;
    private final boolean packed;
    private final EventFd[] notifiers;
    private final InterruptStatus interruptStatus;

    private final Object lock = new Object();
    private final QueueSetup[] queues; // guarded by lock, as those below
    private volatile int status; // written under the lock
    private long driverFeatures;
    private @Nullable Session session;
    private @Nullable CountDownLatch resetting;
    private boolean abandoned;

    /**
     * Makes the transport of a device, with an eventfd for each queue.
     *
     * @param memory of the guest
     * @param loop on which the device runs
     * @param trigger raises the device's interrupt
     * @param packed whether the driver may choose packed virtqueues ({@code VIRTIO_F_RING_PACKED}, section 2.8)
     */
    public TransportCore(
            VirtioDevice device,
            GuestMemory memory,
            DeviceLoop loop,
            InterruptTrigger trigger,
            DeviceListener listener,
            boolean packed) {
        this.device = device;
        this.memory = memory;
        this.loop = loop;
        this.trigger = trigger;
        this.listener = listener;
        this.packed = packed;
        int count = device.queueCount();
        this.queues = new QueueSetup[count];
        this.notifiers = new EventFd[count];
        this.interruptStatus = new InterruptStatus(device.name());
        try {
            for (int i = 0; i < count; i++) {
                queues[i] = new QueueSetup(device.maxQueueSize(i));
                notifiers[i] = new EventFd(device.name() + " queue " + i);
            }
        } catch (RuntimeException e) {
            closeEventFds();
            throw e;
        }
    }

    /** Returns the device. */
    public VirtioDevice device() {
        return device;
    }

    /** Returns the number of queues. */
    public int queueCount() {
        return queues.length;
    }

    /** Returns the eventfd that stands for the driver's notification of a queue: what an ioeventfd signals. */
    public EventFd notifier(int queue) {
        return notifiers[queue];
    }

    /** Takes a notification that did not come through the eventfd; what names no queue is ignored. */
    void notifyQueue(int queue) {
        if (queue >= 0 && queue < notifiers.length) {
            notifiers[queue].signal();
        }
    }

    /** Returns all features that are offered. */
    long offeredFeatures() {
        return device.features() | QUEUE_FEATURES | VERSION_1 | (packed ? RING_PACKED : 0);
    }

    /** Takes half of the driver's features; ignored once FEATURES_OK is set. */
    void setDriverFeatures(int half, int bits) {
        synchronized (lock) {
            if ((status & FEATURES_OK) == 0 && (half == 0 || half == 1)) {
                int shift = 32 * half;
                driverFeatures = (driverFeatures & ~(0xffff_ffffL << shift)) | (Integer.toUnsignedLong(bits) << shift);
            }
        }
    }

    int status() {
        return status;
    }

    /** Takes a write to the device status field. */
    void setStatus(int value) {
        if ((value & 0xff) == 0) {
            reset();
            return;
        }
        synchronized (lock) {
            if (resetting != null) {
                return;
            }
            // Only a reset clears bits, and NEEDS_RESET is the device's.
            int added = value & 0xff & ~status & ~NEEDS_RESET;
            boolean accepted = (driverFeatures & ~offeredFeatures()) == 0 && (driverFeatures & VERSION_1) != 0;
            if ((added & FEATURES_OK) != 0 && !accepted) {
                added &= ~FEATURES_OK;
            }
            status |= added;
            if ((added & DRIVER_OK) != 0) {
                start();
            }
        }
    }

    /** Begins a session; under the lock. */
    private void start() {
        if ((status & FEATURES_OK) == 0) {
            fail("DRIVER_OK without FEATURES_OK");
            return;
        }
        begin(readyQueues());
    }

    private List<Optional<VirtqueueState>> readyQueues() {
        List<Optional<VirtqueueState>> ready = new ArrayList<>();
        for (QueueSetup queue : queues) {
            ready.add(
                    queue.ready
                            ? Optional.of(VirtqueueState.ofNew(
                                    queue.size,
                                    queue.descriptors,
                                    queue.driver,
                                    queue.device,
                                    (driverFeatures & RING_PACKED) != 0))
                            : Optional.empty());
        }
        return ready;
    }

    private void begin(List<Optional<VirtqueueState>> ready) {
        Session started = new Session(this, device, memory, driverFeatures, loop);
        session = started;
        onLoop(() -> started.start(ready));
    }

    private void onLoop(Runnable task) {
        if (loop.isLoopThread()) {
            task.run();
        } else {
            boolean _ = loop.post(task); // refused while the VM ends: then the driver waits for nothing
        }
    }

    /** Resets the device; waits for it, unless on the loop's own thread. */
    private void reset() {
        CountDownLatch done;
        Session ended;
        synchronized (lock) {
            if (abandoned) {
                return;
            }
            ended = session;
            if (ended == null) {
                clear();
                return;
            }
            done = resetting;
            if (done == null) {
                done = new CountDownLatch(1);
                resetting = done;
                onLoop(() -> ended.stop(this::resetDone));
            }
        }
        if (!loop.isLoopThread()) {
            awaitUninterruptibly(done);
        }
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        boolean interrupted = false;
        while (true) {
            try {
                latch.await();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void resetDone() {
        synchronized (lock) {
            session = null;
            clear();
            CountDownLatch done = resetting;
            resetting = null;
            if (done != null) {
                done.countDown();
            }
        }
    }

    /** Puts everything back to how it was before the driver came; under the lock. */
    private void clear() {
        status = 0;
        driverFeatures = 0;
        interruptStatus.clear();
        for (QueueSetup queue : queues) {
            queue.clear();
        }
    }

    /** Lets vCPU threads go that wait for a reset, now and later: the VM is to end, whatever a device waits for. */
    public void abandonWaits() {
        synchronized (lock) {
            abandoned = true;
            if (resetting != null) {
                resetting.countDown();
            }
        }
    }

    /**
     * Returns the set-up of a queue for the driver to change, or null if there is no such queue, or if it may not change
     * any more. Under {@link #lock}.
     */
    @Nullable
    QueueSetup changeable(int queue) {
        boolean may = (status & (FEATURES_OK | DRIVER_OK | NEEDS_RESET)) == FEATURES_OK && resetting == null;
        return may ? queueOrNull(queue) : null;
    }

    /** Returns the set-up of a queue to read, or null if there is no such queue. Under {@link #lock}. */
    @Nullable
    QueueSetup queueOrNull(int queue) {
        return queue >= 0 && queue < queues.length ? queues[queue] : null;
    }

    /** Guards what {@link #changeable} and {@link #queueOrNull} return. */
    Object lock() {
        return lock;
    }

    int interruptStatus() {
        return interruptStatus.read();
    }

    /**
     * Returns the eventfd that stands for an acknowledgement of {@code VIRTIO_MMIO_INT_VRING} alone: an ioeventfd with that
     * datamatch may signal it, instead of a call of {@link #acknowledgeInterrupts}.
     */
    public EventFd acknowledgement() {
        return interruptStatus.acknowledgement();
    }

    void acknowledgeInterrupts(int bits) {
        interruptStatus.acknowledge(bits);
    }

    /** Raises an interrupt of the device's. */
    void interrupt(int bit) {
        interruptStatus.raise(bit);
        trigger.trigger();
    }

    /** The driver has broken a rule; on the loop's thread, or under the lock. */
    void fail(String reason) {
        synchronized (lock) {
            if ((status & NEEDS_RESET) != 0 || resetting != null) {
                return;
            }
            status |= NEEDS_RESET;
            if ((status & DRIVER_OK) != 0) {
                interrupt(VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG);
            }
        }
        listener.needsReset(device.name(), reason);
    }

    ConfigSpace config() {
        return device.config();
    }

    /**
     * Takes no more buffers, and ends I/O that is under way; the vCPUs are parked.
     *
     * @param quiet is run on the loop's thread, perhaps at once
     */
    public void pause(Runnable quiet) {
        Session running = currentSession();
        if (running == null) {
            quiet.run();
        } else {
            running.pause(quiet);
        }
    }

    /** Goes on after {@link #pause}. */
    public void resume() {
        Session running = currentSession();
        if (running != null) {
            running.resume();
        }
    }

    private @Nullable Session currentSession() {
        synchronized (lock) {
            return session;
        }
    }

    /** Returns what a snapshot needs; while paused. */
    TransportState state() {
        synchronized (lock) {
            Session running = session;
            return new TransportState(
                    status,
                    driverFeatures,
                    interruptStatus.bits(),
                    running == null ? readyQueues() : running.queueStates(),
                    device.state());
        }
    }

    /** Puts a state back, in a transport that no driver has used; the device starts if it had. */
    void restore(TransportState state) {
        if (state.queues().size() != queues.length) {
            throw new IllegalArgumentException(device.name() + " has " + queues.length + " queues, its state "
                    + state.queues().size());
        }
        synchronized (lock) {
            device.restore(state.device());
            status = state.status();
            driverFeatures = state.driverFeatures();
            interruptStatus.restore(state.interruptStatus());
            for (int i = 0; i < queues.length; i++) {
                QueueSetup queue = queues[i];
                state.queues().get(i).ifPresent(q -> {
                    queue.size = q.size();
                    queue.descriptors = q.descriptors();
                    queue.driver = q.driver();
                    queue.device = q.device();
                    queue.ready = true;
                });
            }
            if ((status & DRIVER_OK) != 0 && (status & NEEDS_RESET) == 0) {
                begin(state.queues());
            }
        }
    }

    /**
     * Frees the device and the eventfds; the vCPUs have ended.
     *
     * @param deadline how long to wait for I/O
     * @return whether all I/O has ended: if not, guest memory must stay mapped
     */
    public boolean close(Duration deadline) {
        Session running = currentSession();
        if (running != null) {
            running.abandon();
        }
        boolean ended = device.close(deadline);
        closeEventFds();
        return ended;
    }

    private void closeEventFds() {
        interruptStatus.close();
        for (EventFd notifier : notifiers) {
            if (notifier != null) {
                notifier.close();
            }
        }
    }

    @Override
    public String toString() {
        return device.name() + " (status 0x" + Integer.toHexString(status) + ")";
    }
}
