package io.thimble.virtio.console;

import io.thimble.linux.abi.VirtioConsoleConstants;
import io.thimble.linux.abi.VirtioConsoleControlLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * The control messages (virtio 1.2, section 5.3.6.2). What the device has to say of a port is a set of bits, so that a
 * driver cannot make it remember more than there is; the bits stand in the order in which the messages are sent.
 */
final class ControlMessage {
    static final int ADD = 1;
    static final int CONSOLE = 1 << 1;
    static final int SIZE = 1 << 2;
    static final int NAME = 1 << 3;
    static final int OPEN = 1 << 4;
    static final int ALL = ADD | CONSOLE | SIZE | NAME | OPEN;

    static final int BYTES = (int) VirtioConsoleControlLayout.SIZEOF;
    private static final int SIZE_BYTES = 4;

    private ControlMessage() {}

    /**
     * Makes one message.
     *
     * @param kind one bit
     * @param id of the port
     * @param columns of the console
     * @param rows of the console
     * @param open whether the host has its side of the port open
     */
    static byte[] of(int kind, int id, ConsolePort port, int columns, int rows, boolean open) {
        return switch (kind) {
            case ADD ->
                message(id, VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_ADD, 1, 0)
                        .array();
            case CONSOLE ->
                message(id, VirtioConsoleConstants.VIRTIO_CONSOLE_CONSOLE_PORT, 1, 0)
                        .array();
            // The specification's order. Linux reads the rows first, except in a few versions: a console that Linux is
            // to
            // resize does without F_MULTIPORT, and with it uses the configuration space.
            case SIZE ->
                message(id, VirtioConsoleConstants.VIRTIO_CONSOLE_RESIZE, 0, SIZE_BYTES)
                        .putShort((short) columns)
                        .putShort((short) rows)
                        .array();
            case NAME -> {
                byte[] name = port.toString().getBytes(StandardCharsets.UTF_8);
                yield message(id, VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_NAME, 1, name.length)
                        .put(name)
                        .array();
            }
            case OPEN ->
                message(id, VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_OPEN, open ? 1 : 0, 0)
                        .array();
            default -> throw new IllegalArgumentException("message " + kind);
        };
    }

    private static ByteBuffer message(int id, int event, int value, int more) {
        return ByteBuffer.allocate(BYTES + more)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(id)
                .putShort((short) event)
                .putShort((short) value);
    }
}
