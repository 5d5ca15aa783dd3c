package io.thimble.virtio.balloon;

import io.thimble.linux.abi.VirtioBalloonConstants;
import io.thimble.virtio.device.DeviceInterrupt;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.Virtqueue;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;

/**
 * The statistics queue (virtio 1.2, section 5.5.6.3): the driver leaves one buffer here; to ask for new numbers, the device gives
 * it back and gets it filled again. On the loop's thread.
 */
final class StatisticsQueue {
    /** struct virtio_balloon_stat { le16 tag; le64 val; }, packed. */
    private static final int SIZEOF_STAT = 10;

    private static final int MOST_STATS = 64;
    private static final int MOST_BUFFERS_A_TURN = 16;

    private final int index;
    private final Virtqueue queue;
    private final DeviceInterrupt interrupt;
    private final DescriptorChain held;
    private final byte[] bytes = new byte[MOST_STATS * SIZEOF_STAT];
    private boolean holding;
    private boolean fresh;
    /** Whether the next buffer is one that was taken before: its numbers are no answer to what was asked since. */
    private boolean stale;

    StatisticsQueue(int index, Virtqueue queue, DeviceInterrupt interrupt, DescriptorChain held) {
        this.index = index;
        this.queue = queue;
        this.interrupt = interrupt;
        this.held = held;
    }

    /** Takes the driver's buffer; returns whether a turn was up before there were no more. */
    boolean serve() {
        int left = MOST_BUFFERS_A_TURN;
        do {
            // A driver that leaves more than one gets the earlier ones back.
            while (queue.hasAvailable()) {
                if (left-- == 0) {
                    return true;
                }
                giveBack();
                holding = queue.pop(held);
                if (stale && fresh) {
                    giveBack();
                }
                stale = false;
            }
        } while (queue.enableNotifications());
        return false;
    }

    /** Tells, once, whether the buffer has numbers that were asked for. */
    boolean hasAnswer() {
        boolean asked = fresh && holding;
        fresh &= !holding;
        return asked;
    }

    private void giveBack() {
        if (holding) {
            holding = false;
            queue.addUsed(held, 0);
            if (queue.needsInterrupt()) {
                interrupt.signalQueue(index);
            }
        }
    }

    /** Asks for new numbers. */
    void ask() {
        fresh = true;
        giveBack();
    }

    /** Reads the numbers in the buffer. */
    BalloonStatistics read() {
        int length = held.read(0, bytes, 0, bytes.length);
        Map<Integer, Long> values = new HashMap<>();
        ByteBuffer buffer = ByteBuffer.wrap(bytes, 0, length).order(ByteOrder.LITTLE_ENDIAN);
        while (buffer.remaining() >= SIZEOF_STAT) {
            int tag = Short.toUnsignedInt(buffer.getShort());
            long value = buffer.getLong();
            if (tag < VirtioBalloonConstants.VIRTIO_BALLOON_S_NR) {
                values.put(tag, value);
            }
        }
        return new BalloonStatistics(values);
    }

    /** Gives the buffer back to the queue, as if it had not been taken. */
    void undo() {
        if (holding) {
            holding = false;
            stale = true;
            queue.undoPop(held);
        }
    }
}
