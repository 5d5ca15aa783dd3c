package io.thimble.vmm.agent;

/**
 * Layout and numbers of the control channel ({@code docs/control-channel.md}; {@code guest-linux/agent/frame.h} holds the
 * same for the guest).
 *
 * <pre>
 * frame { u8 sync = 0xA5; u8 type; u16 length; u8 payload[length]; u16 crc; }   // little endian
 * </pre>
 */
final class ControlProtocol {
    /** First byte of every frame; no ASCII or UTF-8 text starts with it. */
    static final int FRAME_SYNC = 0xA5;

    /** Bytes before the payload. */
    static final int FRAME_HEADER = 4;

    /** Bytes after the payload. */
    static final int FRAME_CRC = 2;

    /** Longest payload; a header that announces more is no frame. */
    static final int FRAME_MAX_PAYLOAD = 512;

    /** Longest frame. */
    static final int FRAME_MAX = FRAME_HEADER + FRAME_MAX_PAYLOAD + FRAME_CRC;

    /** Guest to host: {@code u16 version; u8 flags; u8 reserved; u32 uptimeMicros; char release[]}. */
    static final int FRAME_HELLO = 0x01;

    /** Guest to host: {@code u32 uptimeMicros}. */
    static final int FRAME_READY = 0x02;

    /** Guest to host: {@code u32 status; u8 stopped}. */
    static final int FRAME_EXIT = 0x03;

    /** Guest to host: {@code u8 action; u8 cause}. */
    static final int FRAME_STOPPING = 0x04;

    /** Guest to host: UTF-8 text. */
    static final int FRAME_LOG = 0x05;

    /** Guest to host: {@code u64 bytes}. */
    static final int FRAME_INPUT_TAKEN = 0x06;

    /** Host to guest: {@code u8 action; u32 graceMillis}. */
    static final int FRAME_SHUTDOWN = 0x81;

    /** Host to guest: {@code u16 rows; u16 columns}. */
    static final int FRAME_WINDOW_SIZE = 0x82;

    /** Host to guest: {@code u64 bytes}. */
    static final int FRAME_INPUT_END = 0x83;

    /** Flag of HELLO: the agent is the guest's first process. */
    static final int HELLO_FLAG_INIT = 1;

    /** Flag of HELLO: the command's streams are on a connection, not on the console. */
    static final int HELLO_FLAG_SESSION = 4;

    private ControlProtocol() {}

    static int getU16(byte[] bytes, int at) {
        return Byte.toUnsignedInt(bytes[at]) | Byte.toUnsignedInt(bytes[at + 1]) << 8;
    }

    static long getU32(byte[] bytes, int at) {
        return getU16(bytes, at) | (long) getU16(bytes, at + 2) << 16;
    }

    static void putU16(byte[] bytes, int at, int value) {
        bytes[at] = (byte) value;
        bytes[at + 1] = (byte) (value >>> 8);
    }

    static void putU32(byte[] bytes, int at, long value) {
        putU16(bytes, at, (int) value);
        putU16(bytes, at + 2, (int) (value >>> 16));
    }

    /** CRC-16/IBM-3740: polynomial 0x1021, initial value 0xFFFF, neither reflected nor inverted. */
    static int crc16(byte[] bytes, int offset, int length) {
        int crc = 0xFFFF;
        for (int i = offset; i < offset + length; i++) {
            crc ^= Byte.toUnsignedInt(bytes[i]) << 8;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1;
            }
            crc &= 0xFFFF;
        }
        return crc;
    }
}
