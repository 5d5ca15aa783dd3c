package io.thimble.virtio.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioConsoleConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.console.ConsoleDevice;
import io.thimble.virtio.console.ConsolePort;
import io.thimble.virtio.console.PortOutput;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;

/**
 * A console device with three ports, whose driver sends control messages and buffers of any kind while the host writes, reads, resizes
 * and pauses: nothing is thrown, what the host reads is never more than the guest has sent, and after a reset the device works.
 */
class ConsoleFuzzTest {
    private static final long RING_PACKED = 1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED;
    private static final int MEMORY = 512 << 10;
    private static final int QUEUES = 8;
    private static final int QUEUE_SIZE = 32;
    private static final GuestMemory REUSED = new MockMemory(MEMORY).memory();

    /** Has room now and then. */
    private static final class Output implements PortOutput {
        final Queue<Byte> taken = new ArrayDeque<>();
        int room;
        private Runnable onRoom = () -> {};

        @Override
        public int offer(byte[] bytes, int offset, int length) {
            int count = Math.min(room, length);
            room -= count;
            for (int i = 0; i < count; i++) {
                taken.add(bytes[offset + i]);
            }
            return count;
        }

        @Override
        public void onRoom(Runnable callback) {
            onRoom = callback;
        }

        void giveRoom(int bytes) {
            room += bytes;
            onRoom.run();
        }
    }

    private final Output output = new Output();
    private final ConsolePort console = ConsolePort.console(output);
    private final ConsolePort data = ConsolePort.named("data", output);
    private final ConsolePort readOnly = ConsolePort.readOnly("read only");

    @FuzzTest(maxDuration = "1m")
    void survives_any_driver(FuzzedDataProvider fuzz) {
        REUSED.fill(0, MEMORY, (byte) 0);
        output.taken.clear();
        output.room = 0;
        ConsoleDevice device = new ConsoleDevice("console", List.of(console, data, readOnly));
        try (DeviceBench bench = new DeviceBench(device, new MockMemory(REUSED), new ManualLoop())) {
            MockMmioDriver driver = bench.driver();
            driver.start(driver.offeredFeatures() & ~RING_PACKED, QUEUE_SIZE);
            for (int steps = 0; fuzz.remainingBytes() > 0 && steps < 500; steps++) {
                step(fuzz, bench, device);
            }
            checkWorks(bench);
        }
    }

    private void step(FuzzedDataProvider fuzz, DeviceBench bench, ConsoleDevice device) {
        switch (fuzz.consumeInt(0, 9)) {
            case 0, 1 -> {
                byte[] message = ByteBuffer.allocate(8)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt(fuzz.consumeInt(-1, 4))
                        .putShort((short) fuzz.consumeInt(VirtioConsoleConstants.VIRTIO_CONSOLE_DEVICE_READY, 8))
                        .putShort((short) fuzz.consumeInt(0, 2))
                        .array();
                add(bench, 3, Piece.readable(bench.place(message), 8));
            }
            case 2, 3 -> {
                int queue = fuzz.consumeInt(0, QUEUES - 1);
                byte[] bytes = fuzz.consumeBytes(fuzz.consumeInt(1, 40));
                int length = fuzz.consumeInt(0, 15) == 0 ? fuzz.consumeInt() : Math.max(1, bytes.length);
                add(bench, queue, new Piece(bench.place(bytes), length, fuzz.consumeBoolean()));
            }
            case 4 -> add(bench, 2, Piece.writable(bench.place(new byte[64]), 64));
            case 5 -> {
                byte[] bytes = fuzz.consumeBytes(20);
                int _ = (fuzz.consumeBoolean() ? console : data).receive(bytes, 0, bytes.length);
            }
            case 6 -> output.giveRoom(fuzz.consumeInt(0, 64));
            case 7 -> device.setSize(fuzz.consumeInt(0, 0xffff), fuzz.consumeInt(0, 0xffff));
            case 8 -> {
                bench.core().pause(() -> {});
                bench.loop().run();
                device.restore(device.state());
                bench.core().resume();
            }
            default -> bench.driver().writeConfig(fuzz.consumeInt(0, 20), 4, fuzz.consumeInt());
        }
        bench.loop().run();
    }

    private static void add(DeviceBench bench, int queue, Piece piece) {
        while (bench.driver().queue(queue).pollUsed().isPresent()) {}
        if (bench.driver().queue(queue).freeDescriptors() > 0) {
            int _ = bench.driver().queue(queue).add(piece);
            bench.serve(queue);
        }
    }

    private void checkWorks(DeviceBench bench) {
        bench.driver().start(0, 4);
        output.taken.clear();
        output.giveRoom(1000);
        bench.loop().run();
        bench.driver().queue(1).add(Piece.readable(bench.place(new byte[] {'o', 'k'}), 2));
        bench.serve(1);
        if (!List.copyOf(output.taken).equals(List.of((byte) 'o', (byte) 'k'))) {
            throw new AssertionError("after a reset came " + output.taken);
        }
    }
}
