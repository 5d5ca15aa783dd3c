package io.thimble.vmm.agent;

import static io.thimble.vmm.agent.ControlProtocol.*;

/** Makes the frames of the control channel. Stateless; any thread. */
public final class FrameEncoder {
    private FrameEncoder() {}

    /**
     * Returns a whole frame.
     *
     * @param type the frame's type, 0 to 255
     * @throws IllegalArgumentException if the type is out of range or the payload longer than 512 bytes
     */
    public static byte[] encode(int type, byte[] payload) {
        if (type < 0 || type > 0xFF) {
            throw new IllegalArgumentException("frame type " + type + " is not a byte");
        }
        if (payload.length > FRAME_MAX_PAYLOAD) {
            throw new IllegalArgumentException(
                    "payload of " + payload.length + " bytes is longer than " + FRAME_MAX_PAYLOAD);
        }
        byte[] frame = new byte[FRAME_HEADER + payload.length + FRAME_CRC];
        frame[0] = (byte) FRAME_SYNC;
        frame[1] = (byte) type;
        putU16(frame, 2, payload.length);
        System.arraycopy(payload, 0, frame, FRAME_HEADER, payload.length);
        int end = FRAME_HEADER + payload.length;
        putU16(frame, end, crc16(frame, 1, end - 1));
        return frame;
    }

    /** SHUTDOWN: end all processes, by force after {@code graceMillis} (0 to 2^32 - 1), then power off or reset. */
    static byte[] shutdown(StopAction action, long graceMillis) {
        byte[] payload = new byte[5];
        payload[0] = (byte) action.code();
        putU32(payload, 1, graceMillis);
        return encode(FRAME_SHUTDOWN, payload);
    }

    /** WINDOW_SIZE: rows and columns of the console's terminal, each 0 to 65535. */
    static byte[] windowSize(int rows, int columns) {
        byte[] payload = new byte[4];
        putU16(payload, 0, rows);
        putU16(payload, 2, columns);
        return encode(FRAME_WINDOW_SIZE, payload);
    }

    /** INPUT_END: the console's input has {@code bytes} (0 to 2^63 - 1) in all. */
    static byte[] inputEnd(long bytes) {
        byte[] payload = new byte[8];
        putU32(payload, 0, bytes);
        putU32(payload, 4, bytes >>> 32);
        return encode(FRAME_INPUT_END, payload);
    }
}
