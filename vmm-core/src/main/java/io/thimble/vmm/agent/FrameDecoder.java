package io.thimble.vmm.agent;

import static io.thimble.vmm.agent.ControlProtocol.*;

import java.util.Objects;

/**
 * Finds the frames in a stream of bytes that a hostile guest wrote. Its memory is one frame; nothing is allocated by a
 * length that the guest gave.
 *
 * <p>A byte that starts no valid frame is skipped and the search goes on with the one after it, so that a frame behind
 * garbage is found as soon as the garbage can no longer be a frame, which takes at most 518 bytes. In the worst case a
 * byte is looked at 130 times (false headers packed densely, each with a wrong CRC): some microseconds, less than the
 * exit that brought it costs.
 *
 * <p>Not thread-safe: the owner serializes calls.
 */
public final class FrameDecoder {
    /** Receives the frames. */
    @FunctionalInterface
    public interface Handler {
        /**
         * Takes a frame whose length and CRC are right.
         *
         * @param type 0 to 255, known or not
         * @param buffer holds the payload during the call only
         * @param offset where the payload starts
         * @param length bytes of payload, 0 to 512
         */
        void frame(int type, byte[] buffer, int offset, int length);
    }

    private static final int INCOMPLETE = 0;

    private final Handler handler;
    private final byte[] buffer = new byte[FRAME_MAX];
    private int used;
    private long skippedBytes;
    private long crcErrors;

    /** Creates a decoder that hands its frames to {@code handler}, on the thread that feeds it. */
    public FrameDecoder(Handler handler) {
        this.handler = handler;
    }

    /** Feeds one byte (the low eight bits of {@code value}). */
    public void accept(int value) {
        buffer[used++] = (byte) value;
        drain();
    }

    /**
     * Feeds bytes.
     *
     * @throws IndexOutOfBoundsException if the range is not inside the array
     */
    public void accept(byte[] bytes, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        int at = offset;
        int end = offset + length;
        while (at < end) {
            int chunk = Math.min(buffer.length - used, end - at);
            System.arraycopy(bytes, at, buffer, used, chunk);
            used += chunk;
            at += chunk;
            drain();
        }
    }

    /** Bytes so far that belonged to no valid frame. */
    public long skippedBytes() {
        return skippedBytes;
    }

    /** Candidates so far that were complete but had a wrong CRC. */
    public long crcErrors() {
        return crcErrors;
    }

    /** Delivers what is complete. Leaves less than a whole frame, so that there is room for one more byte. */
    private void drain() {
        int start = 0;
        while (start < used) {
            int settled = settle(start);
            if (settled == INCOMPLETE) {
                break;
            }
            start += settled;
        }
        if (start > 0) {
            System.arraycopy(buffer, start, buffer, 0, used - start);
            used -= start;
        }
    }

    /** How many bytes at {@code start} are a frame (delivered) or none (skipped); INCOMPLETE if that is open. */
    private int settle(int start) {
        int have = used - start;
        if (Byte.toUnsignedInt(buffer[start]) != FRAME_SYNC) {
            skippedBytes++;
            return 1;
        }
        if (have < FRAME_HEADER) {
            return INCOMPLETE;
        }
        int length = getU16(buffer, start + 2);
        if (length > FRAME_MAX_PAYLOAD) {
            skippedBytes++;
            return 1;
        }
        if (have < FRAME_HEADER + length + FRAME_CRC) {
            return INCOMPLETE;
        }
        int end = start + FRAME_HEADER + length;
        if (crc16(buffer, start + 1, FRAME_HEADER - 1 + length) != getU16(buffer, end)) {
            skippedBytes++;
            crcErrors++;
            return 1;
        }
        handler.frame(Byte.toUnsignedInt(buffer[start + 1]), buffer, start + FRAME_HEADER, length);
        return FRAME_HEADER + length + FRAME_CRC;
    }
}
