package io.thimble.virtio.console;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.VirtioConsoleConstants;
import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.testing.MockQueue.Used;
import io.thimble.virtio.transport.MmioTransport;
import io.thimble.virtio.transport.TransportCore;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A console device behind its transport, with a driver. */
final class ConsoleFixture implements AutoCloseable {
    static final long MULTIPORT = 1L << VirtioConsoleConstants.VIRTIO_CONSOLE_F_MULTIPORT;
    static final long SIZE = 1L << VirtioConsoleConstants.VIRTIO_CONSOLE_F_SIZE;
    static final int CONTROL_IN = 2;
    static final int CONTROL_OUT = 3;

    final MockMemory places = new MockMemory(4 << 20);
    final ManualLoop loop = new ManualLoop();
    final ConsoleDevice device;
    final TransportCore core;
    final MmioTransport transport;
    final MockMmioDriver driver;
    /** The rules that the driver broke. */
    final List<String> faults;

    /** Takes as much as it has room for. */
    static final class Output implements PortOutput {
        final ByteArrayOutputStream taken = new ByteArrayOutputStream();
        int room = Integer.MAX_VALUE;
        int moreRoomAtTheEnd;
        private Runnable onRoom = () -> {};

        @Override
        public int offer(byte[] bytes, int offset, int length) {
            int count = Math.min(room, length);
            room -= count;
            taken.write(bytes, offset, count);
            return count;
        }

        @Override
        public void onRoom(Runnable callback) {
            onRoom = callback;
        }

        @Override
        public boolean awaitRoom(Duration deadline) {
            room += moreRoomAtTheEnd;
            return moreRoomAtTheEnd > 0;
        }

        void giveRoom(int bytes) {
            room += bytes;
            onRoom.run();
        }

        String text() {
            return taken.toString(StandardCharsets.ISO_8859_1);
        }
    }

    /** What a control message says. */
    record Message(int id, int event, int value, String more) {}

    ConsoleFixture(ConsolePort... ports) {
        device = new ConsoleDevice("console", List.of(ports));
        DeviceBench bench = new DeviceBench(device, places, loop);
        core = bench.core();
        transport = bench.transport();
        driver = bench.driver();
        faults = bench.reports();
    }

    /** Starts the driver; a multiport one gives buffers for control messages and says that it is ready. */
    ConsoleFixture start(long features) {
        driver.start(features | 1L << VirtioRingConstants.VIRTIO_RING_F_INDIRECT_DESC, 64);
        if ((features & MULTIPORT) != 0) {
            for (int i = 0; i < 32; i++) {
                addBuffer(CONTROL_IN, 256);
            }
            control(0xffff_ffff, VirtioConsoleConstants.VIRTIO_CONSOLE_DEVICE_READY, 1);
        }
        loop.run();
        return this;
    }

    void addBuffer(int queue, int length) {
        driver.queue(queue).add(Piece.writable(places.allocate(length, 8), length));
    }

    void send(int queue, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        driver.queue(queue).add(Piece.readable(places.allocate(bytes), bytes.length));
        driver.notifyQueue(queue);
    }

    void control(int id, int event, int value) {
        byte[] bytes = ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(id)
                .putShort((short) event)
                .putShort((short) value)
                .array();
        driver.queue(CONTROL_OUT).add(Piece.readable(places.allocate(bytes), bytes.length));
        driver.notifyQueue(CONTROL_OUT);
        loop.run();
        assertThat(driver.queue(CONTROL_OUT).takeUsed().length()).isZero();
    }

    /** Takes what has come into the buffers of a receive queue, in a row. */
    String received(int queue) {
        StringBuilder text = new StringBuilder();
        for (byte[] bytes : buffers(queue)) {
            text.append(new String(bytes, StandardCharsets.ISO_8859_1));
        }
        return text.toString();
    }

    private List<byte[]> buffers(int index) {
        MockQueue queue = driver.queue(index);
        List<byte[]> all = new ArrayList<>();
        for (Used used = queue.pollUsed().orElse(null);
                used != null;
                used = queue.pollUsed().orElse(null)) {
            long address = places.memory().getLong(queue.descriptors() + 16L * used.id());
            all.add(places.bytes(address, used.length()));
        }
        return all;
    }

    List<Message> messages() {
        return buffers(CONTROL_IN).stream()
                .map(bytes -> {
                    ByteBuffer message = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
                    return new Message(
                            message.getInt(),
                            message.getShort(),
                            message.getShort(),
                            new String(bytes, 8, bytes.length - 8, StandardCharsets.ISO_8859_1));
                })
                .toList();
    }

    static int receive(ConsolePort port, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        return port.receive(bytes, 0, bytes.length);
    }

    @Override
    public void close() {
        boolean _ = core.close(Duration.ZERO);
        loop.close();
    }
}
