package io.thimble.virtio.net;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.testing.MockQueue.Used;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Two cards of one switch: the driver of the first sends frames with headers of any kind, buffers and control commands of any kind; the
 * second asks for offloads or does its checksums and segments itself, so that the switch's own arithmetic is met too. Nothing is
 * thrown, a frame that arrives is no longer than its buffers, and after a reset both cards work.
 */
class NetFuzzTest {
    private static final int MEMORY = 512 << 10;
    private static final int QUEUE_SIZE = 32;
    private static final int BUFFER = 2048;
    private static final int RX = 0;
    private static final int TX = 1;
    private static final int CONTROL = 2;
    private static final long RING_PACKED = 1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED;
    private static final GuestMemory FIRST = new MockMemory(MEMORY).memory();
    private static final GuestMemory SECOND = new MockMemory(MEMORY).memory();

    @FuzzTest(maxDuration = "1m")
    void survives_any_driver(FuzzedDataProvider fuzz) {
        FIRST.fill(0, MEMORY, (byte) 0);
        SECOND.fill(0, MEMORY, (byte) 0);
        VirtualSwitch between = new VirtualSwitch("fuzz");
        NetDevice first = device(between, 1);
        NetDevice second = device(between, 2);
        try (DeviceBench sender = new DeviceBench(first, new MockMemory(FIRST), new ManualLoop());
                DeviceBench receiver = new DeviceBench(second, new MockMemory(SECOND), new ManualLoop())) {
            boolean packed = fuzz.consumeBoolean();
            boolean offloads = fuzz.consumeBoolean();
            start(sender, fuzz.consumeBoolean() ? -1 : fuzz.consumeLong(), packed);
            start(receiver, offloads ? -1 : ~NetFeatures.GUEST_OFFLOADS, !packed);
            long at = receiver.places().allocate(BUFFER, 16);
            offer(receiver, at);
            for (int steps = 0; fuzz.remainingBytes() > 0 && steps < 300; steps++) {
                step(fuzz, sender, first);
                int _ = receive(receiver, at);
            }
            checkWorks(sender, first, receiver, at);
        }
    }

    private static NetDevice device(VirtualSwitch between, int number) {
        MacAddress mac = new MacAddress(0x0200_0000_0000L + number);
        NetConfig config = new NetConfig("net" + number, mac, OptionalInt.empty(), true, NetLimits.NONE);
        return new NetDevice(config, between.connect(mac), DeviceListener.none());
    }

    private static void start(DeviceBench bench, long features, boolean packed) {
        long offered = bench.driver().offeredFeatures() & ~RING_PACKED;
        bench.driver().start((offered & features) | (packed ? RING_PACKED : 0), QUEUE_SIZE);
        bench.loop().run();
    }

    private static void step(FuzzedDataProvider fuzz, DeviceBench bench, NetDevice device) {
        switch (fuzz.consumeInt(0, 7)) {
            case 0, 1, 2 -> {
                byte[] header = header(fuzz);
                byte[] frame = fuzz.consumeBytes(fuzz.consumeInt(0, 200));
                byte[] whole = Arrays.copyOf(header, header.length + frame.length + fuzz.consumeInt(0, 1) * 1000);
                System.arraycopy(frame, 0, whole, header.length, frame.length);
                add(bench, TX, cut(bench, whole, fuzz.consumeInt(0, whole.length), fuzz.consumeInt(0, whole.length)));
            }
            case 3 -> {
                byte[] command = fuzz.consumeBytes(fuzz.consumeInt(1, 40));
                add(
                        bench,
                        CONTROL,
                        Piece.readable(bench.place(command), Math.max(1, command.length)),
                        Piece.writable(bench.place(new byte[1]), 1));
            }
            case 4 -> {
                int length = fuzz.consumeInt(1, 100);
                byte[] bytes = fuzz.consumeBytes(length);
                boolean wrong = fuzz.consumeInt(0, 15) == 0;
                Piece piece = new Piece(
                        bench.place(Arrays.copyOf(bytes, length)),
                        wrong ? fuzz.consumeInt() : length,
                        fuzz.consumeBoolean());
                add(bench, fuzz.consumeInt(0, 2), piece);
            }
            case 5 -> add(bench, RX, Piece.writable(bench.place(new byte[64]), fuzz.consumeInt(1, 64)));
            case 6 -> device.setLinkUp(fuzz.consumeBoolean());
            default -> {
                bench.core().pause(() -> {});
                bench.loop().run();
                bench.core().resume();
            }
        }
        bench.loop().run();
    }

    /** A header that is good in most of its fields. */
    private static byte[] header(FuzzedDataProvider fuzz) {
        byte[] header = new byte[PacketHeader.SIZE];
        header[0] = (byte) (fuzz.consumeInt(0, 7) == 0 ? fuzz.consumeInt(0, 255) : fuzz.consumeInt(0, 2));
        header[1] = (byte) (fuzz.consumeInt(0, 7) == 0 ? fuzz.consumeInt(0, 255) : fuzz.consumeInt(0, 5));
        for (int i = 2; i < 10; i += 2) {
            int value = fuzz.consumeInt(0, 15) == 0 ? fuzz.consumeInt(0, 0xffff) : fuzz.consumeInt(0, 120);
            header[i] = (byte) value;
            header[i + 1] = (byte) (value >> 8);
        }
        return header;
    }

    /** The packet in up to three pieces. */
    private static Piece[] cut(DeviceBench bench, byte[] whole, int one, int two) {
        int first = Math.min(one, two);
        int second = Math.max(one, two);
        List<Piece> pieces = new ArrayList<>();
        for (int[] part : new int[][] {{0, first}, {first, second}, {second, whole.length}}) {
            if (part[1] > part[0]) {
                byte[] bytes = Arrays.copyOfRange(whole, part[0], part[1]);
                pieces.add(Piece.readable(bench.place(bytes), bytes.length));
            }
        }
        return pieces.toArray(new Piece[0]);
    }

    private static void add(DeviceBench bench, int index, Piece... pieces) {
        MockQueue queue = bench.driver().queue(index);
        while (queue.pollUsed().isPresent()) {}
        if (queue.freeDescriptors() >= pieces.length) {
            int _ = queue.add(pieces);
            bench.driver().notifyQueue(index);
        }
    }

    /** Offers as many buffers as there is room for, all at one place. */
    private static void offer(DeviceBench bench, long at) {
        MockQueue queue = bench.driver().queue(RX);
        while (queue.freeDescriptors() > 0) {
            int _ = queue.add(Piece.writable(at, BUFFER));
        }
        bench.serve(RX);
    }

    /** Takes the buffers with what came and gives them back; returns how many there were. */
    private static int receive(DeviceBench bench, long at) {
        bench.loop().run();
        MockQueue queue = bench.driver().queue(RX);
        int count = 0;
        for (Optional<Used> used = queue.pollUsed(); used.isPresent(); used = queue.pollUsed()) {
            int length = used.get().length();
            if (length < 1 || length > BUFFER) {
                throw new AssertionError("a frame of " + length + " bytes in a buffer of " + BUFFER);
            }
            count++;
        }
        offer(bench, at);
        return count;
    }

    private static void checkWorks(DeviceBench sender, NetDevice device, DeviceBench receiver, long at) {
        device.setLinkUp(true);
        start(sender, 0, false);
        start(receiver, 0, false);
        offer(receiver, at);
        byte[] packet = new byte[PacketHeader.SIZE + 60];
        packet[PacketHeader.SIZE] = 2; // to the second card
        packet[PacketHeader.SIZE + 5] = 2;
        add(sender, TX, Piece.readable(sender.place(packet), packet.length));
        sender.loop().run();
        if (receive(receiver, at) != 1) {
            throw new AssertionError("after a reset nothing arrives");
        }
    }
}
