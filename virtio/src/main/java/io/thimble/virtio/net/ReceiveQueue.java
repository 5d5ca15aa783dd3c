package io.thimble.virtio.net;

import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.DeviceInterrupt;
import io.thimble.virtio.queue.Virtqueue;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Frames on their way to the driver (virtio 1.2, section 5.1.6.3 and 5.1.6.4): one system call a frame, straight into as many
 * buffers as it takes; one look at whether the driver wants an interrupt for all of a turn. While the driver has no buffers,
 * frames stay in the back end, which bounds and drops them.
 */
final class ReceiveQueue {
    private static final int MOST_FRAMES_A_TURN = 128;
    private static final long MOST_BYTES_A_TURN = 2 << 20;

    private final NetDevice device;
    private final int pair;
    private final int index;
    private final Virtqueue queue;
    private final DeviceInterrupt interrupt;
    private final boolean mergeable;
    private final BounceBuffer bounce;
    private final BufferWindow window;
    private final byte[] destination = new byte[MacAddress.BYTES];
    private boolean readable = true;

    /**
     * Serves the receive queue of a pair.
     *
     * @param arena holds what the queue needs of host memory
     */
    ReceiveQueue(NetDevice device, int pair, Virtqueue queue, Activation activation, Arena arena) {
        this.device = device;
        this.pair = pair;
        this.index = 2 * pair;
        this.queue = queue;
        this.interrupt = activation.interrupt();
        this.mergeable = (activation.features() & NetFeatures.MRG_RXBUF) != 0;
        this.bounce = new BounceBuffer(arena);
        this.window = new BufferWindow(activation.memory(), queue.size(), bounce.memory(), arena);
    }

    /** Frames may have come into the back end. */
    void setReadable() {
        readable = true;
    }

    /** Moves frames; returns whether a turn was up before there were no more. */
    boolean serve() {
        int frames = 0;
        long bytes = 0;
        boolean wait = false;
        while (!wait && frames < MOST_FRAMES_A_TURN && bytes < MOST_BYTES_A_TURN) {
            if (bounce.length() > 0) {
                wait = !deliverHeld();
                continue;
            }
            long length = readable && device.mayReceive() ? receive() : 0;
            wait = length == 0;
            if (length > 0) {
                frames++;
                bytes += length;
            }
        }
        if (queue.needsInterrupt()) {
            interrupt.signalQueue(index);
        }
        return !wait;
    }

    /** Takes one frame from the back end; returns its length, or 0 if there was none, or no room. */
    private long receive() {
        if (!device.linkUp()) {
            return receiveInto(bounce, false);
        }
        long need = device.largestReceive();
        do {
            window.fill(queue, mergeable ? need : 1);
        } while (window.isEmpty() && queue.enableNotifications());
        if (window.isEmpty()) {
            return 0;
        }
        return mergeable && window.capacity() < need ? receiveInto(bounce, true) : receiveInto(window, true);
    }

    private long receiveInto(ReceiveBuffers buffers, boolean wanted) {
        long length = device.backend().receive(pair, buffers);
        if (length <= 0) {
            readable = false;
            return 0;
        }
        device.received(length);
        if (!wanted || length > buffers.capacity() || !passesFilter(buffers)) {
            device.count(NetCounters.RX_DROPPED, 1);
        } else if (buffers == window) {
            deliver(length, true);
        } else {
            bounce.hold(length);
        }
        return length;
    }

    private boolean passesFilter(ReceiveBuffers buffers) {
        ReceiveFilter filter = device.filter();
        if (filter.passesAll()) {
            return true;
        }
        if (buffers == bounce) {
            MemorySegment.copy(
                    bounce.memory(), ValueLayout.JAVA_BYTE, PacketHeader.SIZE, destination, 0, destination.length);
        } else if (!window.readDestination(destination)) {
            return true;
        }
        return filter.passes(MacAddress.value(destination, 0));
    }

    private void deliver(long length, boolean kernelWrote) {
        window.deliver(queue, length, kernelWrote);
        device.count(NetCounters.RX_FRAMES, 1);
        device.count(NetCounters.RX_BYTES, length - PacketHeader.SIZE);
    }

    /** Copies the frame that waits; returns false if it has to wait on. */
    private boolean deliverHeld() {
        long length = bounce.length();
        if (!device.linkUp()) {
            return dropHeld();
        }
        do {
            window.fill(queue, mergeable ? length : 1);
            if (window.capacity() >= length) {
                bounce.hold(0);
                window.write(0, bounce.memory(), 0, length);
                deliver(length, false);
                return true;
            }
            if (window.isFull() || (!mergeable && !window.isEmpty())) {
                return dropHeld();
            }
        } while (queue.enableNotifications());
        return false;
    }

    private boolean dropHeld() {
        bounce.hold(0);
        device.count(NetCounters.RX_DROPPED, 1);
        return true;
    }

    /** Gives back what the driver has made available and no frame has used. */
    void giveBack() {
        window.giveBack(queue);
    }
}
