package io.thimble.virtio.net;

import io.thimble.virtio.device.DeviceLoop;
import java.util.OptionalInt;

/**
 * What carries the frames of a network device. A back end belongs to one device; its methods are called on the device's
 * loop's thread and never block.
 *
 * <p><b>Life.</b> {@link #start} when the driver is ready, {@link #stop} when it is reset, and again; {@link #close} last.
 */
public interface NetBackend extends AutoCloseable {
    /** What {@link #send} returns for a frame that was taken. */
    int SENT = 0;

    /** What {@link #send} returns where there is no room: the frame is offered again after {@link Events#writable}. */
    int BUSY = 1;

    /** What {@link #send} returns for a frame that this back end cannot carry. */
    int DROPPED = 2;

    /** What a back end tells its device, on the loop's thread, between {@link #start} and {@link #stop}. */
    interface Events {
        /** Frames have come; {@link #receive} may return some. */
        void readable(int pair);

        /** There is room again after {@link #BUSY}. */
        void writable(int pair);

        /**
         * The back end works no more: the link goes down.
         *
         * @param reason with the remedy, for the VM's owner
         */
        void lost(String reason);
    }

    /** Returns what this is, for messages; for example {@code tap vm0}. */
    String name();

    /** Returns which offloads it can take from a driver and give to one: a subset of the masks in {@link NetFeatures}. */
    long offloads();

    /** Returns how many pairs of queues it has, at least 1. */
    int queuePairs();

    /** Returns the largest frame it carries without segmentation, without the Ethernet header, if it knows. */
    OptionalInt mtu();

    /** Begins to carry frames; from now on the first pair is in use. */
    void start(DeviceLoop loop, Events events);

    /** Ends {@link #start}. */
    void stop();

    /**
     * Says what frames the driver takes.
     *
     * @param offloads a subset of {@link NetFeatures#GUEST_OFFLOADS}
     */
    void setGuestOffloads(long offloads);

    /** Says how many pairs of queues are in use, 1 to {@link #queuePairs}. */
    void setActivePairs(int pairs);

    /** Connects the cable, or pulls it, as far as the other end can know. */
    void setCarrier(boolean present);

    /**
     * Sends a frame.
     *
     * @return {@link #SENT}, {@link #BUSY} or {@link #DROPPED}
     */
    int send(int pair, TransmitPacket packet);

    /**
     * Receives a frame, with its header, into buffers.
     *
     * @return how long it was, header included, also if the buffers are too small for the end of it; 0 if there is none
     */
    long receive(int pair, ReceiveBuffers buffers);

    /** Frees everything; from any thread, after the loop has stopped using it. */
    @Override
    void close();
}
