package io.thimble.virtio.net;

import io.thimble.virtio.device.Activation;
import io.thimble.virtio.device.DeviceInterrupt;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueException;
import java.lang.foreign.Arena;

/**
 * The driver's frames on their way out (virtio 1.2, section 5.1.6.2), in turns: frames go one by one, the driver hears of all
 * of a turn at once.
 */
final class TransmitQueue {
    private static final int MOST_FRAMES_A_TURN = 128;
    private static final long MOST_BYTES_A_TURN = 2 << 20;
    /** After so many frames their buffers are the driver's again, so that it need not wait for the whole turn. */
    private static final int PUBLISH_EVERY = 16;
    /**
     * After so many frames, in however many turns, whoever waits for this processor gets it. It may be the receiver in the host:
     * a socket's buffer of the usual 208 KiB holds 277 small datagrams, and what comes before it has run is lost.
     */
    private static final int GIVE_WAY_EVERY = 128;

    private final NetDevice device;
    private final int pair;
    private final int index;
    private final Virtqueue queue;
    private final DeviceInterrupt interrupt;
    private final long features;
    private final TransmitPacket packet;
    private boolean blocked;
    /** Whether the driver was asked to notify, and was not seen to have done anything since. */
    private boolean armed;

    private int sinceGivenWay;

    /**
     * Serves the transmit queue of a pair.
     *
     * @param arena holds what the queue needs of host memory
     */
    TransmitQueue(NetDevice device, int pair, Virtqueue queue, Activation activation, Arena arena) {
        this.device = device;
        this.pair = pair;
        this.index = 2 * pair + 1;
        this.queue = queue;
        this.interrupt = activation.interrupt();
        this.features = activation.features();
        this.packet = new TransmitPacket(activation.memory(), arena);
    }

    /** The back end has room again. */
    void setWritable() {
        blocked = false;
    }

    /** Tells whether there are frames that can go; what is wrong with the queue is for {@link #serve} to find out. */
    boolean hasNews() {
        try {
            return !blocked && queue.hasAvailable() && device.maySend();
        } catch (VirtqueueException _) {
            return true;
        }
    }

    /** Asks the driver to notify, unless something else is waited for; returns whether there are frames already. */
    boolean arm() {
        if (armed || blocked) {
            return false;
        }
        armed = true;
        try {
            return queue.enableNotifications() && device.maySend();
        } catch (VirtqueueException _) {
            return true;
        }
    }

    /** Moves frames; returns whether a turn was up before there were no more. */
    boolean serve() {
        int frames = 0;
        long bytes = 0;
        boolean empty = false;
        while (!blocked && frames < MOST_FRAMES_A_TURN && bytes < MOST_BYTES_A_TURN) {
            if (!device.maySend()) {
                break;
            }
            if (!queue.pop(packet.chain())) {
                empty = true;
                break;
            }
            if (armed) {
                armed = false;
                queue.disableNotifications();
            }
            if (!send()) {
                queue.undoPop(packet.chain());
                blocked = true;
                break;
            }
            queue.stageUsed(packet.chain(), 0);
            frames++;
            bytes += packet.chain().readableLength();
            if (frames % PUBLISH_EVERY == 0) {
                queue.publishUsed();
            }
        }
        queue.publishUsed();
        if (queue.needsInterrupt()) {
            interrupt.signalQueue(index);
        }
        giveWay(frames);
        return !empty && !blocked && device.maySend();
    }

    @SuppressWarnings("ThreadPriorityCheck") // nothing relies on it but the time of others
    private void giveWay(int frames) {
        sinceGivenWay += frames;
        if (sinceGivenWay >= GIVE_WAY_EVERY) {
            sinceGivenWay = 0;
            Thread.yield();
        }
    }

    /** Sends or drops the packet; returns false if the back end has no room for it. */
    private boolean send() {
        if (!packet.load(features)) {
            device.count(NetCounters.TX_MALFORMED, 1);
            return true;
        }
        int result = device.linkUp() ? device.backend().send(pair, packet) : NetBackend.DROPPED;
        if (result == NetBackend.BUSY) {
            return false;
        }
        long length = packet.frameLength();
        device.sent(length);
        if (result == NetBackend.SENT) {
            device.count(NetCounters.TX_FRAMES, 1);
            device.count(NetCounters.TX_BYTES, length);
        } else {
            device.count(NetCounters.TX_DROPPED, 1);
        }
        return true;
    }
}
