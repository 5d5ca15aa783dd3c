package io.thimble.virtio.vsock;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Any packets, whole and broken, from a guest to a host that connects, listens, reads, writes and closes meanwhile: nothing is
 * thrown out of the loop, no connection outlives the end, and after a reset the device works.
 */
class VsockFuzzTest {
    private static final int MEMORY = 256 << 10;
    private static final GuestMemory REUSED = new MockMemory(MEMORY).memory();
    private static final VsockLimits LIMITS = new VsockLimits(8, 32 << 10, 4, 16 << 10);
    private static final Duration SHORT = Duration.ofNanos(1);
    private static final int PACKET = 0x8000;
    private static final int RX_BUFFERS = 0x10000;
    private static final int MOST_STREAMS = 16;
    /** Each takes new places in memory, below the packet. */
    private static final int MOST_STARTS = 8;

    @FuzzTest(maxDuration = "1m")
    void survives_any_packet(FuzzedDataProvider data) throws IOException {
        REUSED.fill(0, MEMORY, (byte) 0);
        try (ManualLoop loop = new ManualLoop();
                Run run = new Run(loop)) {
            while (data.remainingBytes() > 0) {
                run.step(data);
            }
            run.finish();
        }
    }

    /** One input's device. */
    private static final class Run implements AutoCloseable {
        final VsockDevice device;
        final DeviceBench bench;
        final ManualLoop loop;
        final HostListener listener;
        final List<HostStream> streams = new ArrayList<>();
        int lastHostPort = 9;
        int starts;

        Run(ManualLoop loop) throws IOException {
            this.loop = loop;
            device = new VsockDevice(Packet.GUEST_CID, loop, LIMITS);
            bench = new DeviceBench(device, new MockMemory(REUSED), loop);
            listener = device.listen(9, 3);
            bench.driver().start(0, 16);
            loop.run();
        }

        void step(FuzzedDataProvider data) throws IOException {
            switch (data.consumeInt(0, 9)) {
                case 0, 1, 2 -> packet(data);
                case 3 -> raw(data.consumeBytes(data.consumeInt(0, 80)));
                case 4 -> giveBuffer(data.consumeInt(0, 5000));
                case 5 -> takeBuffers();
                case 6 -> connect(data.consumeInt(0, 3));
                case 7 -> accept();
                case 8 -> act(data);
                default -> {
                    if (data.consumeBoolean()) {
                        bench.core().pause(() -> {});
                        loop.run();
                        bench.core().resume();
                    } else if (starts++ < MOST_STARTS) {
                        bench.driver().start(0, 16);
                    }
                    loop.run();
                }
            }
        }

        private void packet(FuzzedDataProvider data) {
            int hostPort = data.consumeBoolean() ? lastHostPort : data.consumeInt(8, 10);
            Packet packet = Packet.of(
                            data.consumeInt(0, 3),
                            hostPort,
                            data.consumeInt(0, 8),
                            new byte[data.consumeInt(0, data.consumeBoolean() ? 20 : 20_000)])
                    .withFlags(data.consumeInt(0, 3))
                    .withCredit(data.consumeInt(), data.consumeInt());
            if (data.consumeInt(0, 15) == 0) {
                packet = packet.withLength(data.consumeInt()).withType(data.consumeInt(0, 3));
            }
            raw(packet.toBytes());
        }

        private void raw(byte[] bytes) {
            MockQueue tx = bench.driver().queue(VsockBench.TX);
            while (tx.pollUsed().isPresent()) {}
            if (bytes.length == 0 || tx.freeDescriptors() < 2) {
                return;
            }
            REUSED.write(PACKET, bytes, 0, bytes.length);
            int half = bytes.length / 2;
            if (half > 0) {
                tx.add(Piece.readable(PACKET, half), Piece.readable(PACKET + half, bytes.length - half));
            } else {
                tx.add(Piece.readable(PACKET, bytes.length));
            }
            bench.serve(VsockBench.TX);
        }

        private void giveBuffer(int length) {
            MockQueue rx = bench.driver().queue(VsockBench.RX);
            if (length > 0 && rx.freeDescriptors() > 0) {
                rx.add(Piece.writable(RX_BUFFERS + 8192L * rx.freeDescriptors(), length));
                bench.serve(VsockBench.RX);
            }
        }

        private void takeBuffers() {
            MockQueue rx = bench.driver().queue(VsockBench.RX);
            for (Optional<MockQueue.Used> used = rx.pollUsed(); used.isPresent(); used = rx.pollUsed()) {
                if (used.get().length() < Packet.HEADER) {
                    throw new AssertionError("a packet of " + used.get().length() + " bytes");
                }
            }
        }

        private void connect(int guestPort) {
            if (streams.size() < MOST_STREAMS) {
                HostStream stream = device.connect(guestPort);
                loop.run();
                streams.add(stream);
                lastHostPort = stream.hostPort();
            }
        }

        private void accept() throws IOException {
            if (streams.size() < MOST_STREAMS) {
                try {
                    streams.add(listener.accept(SHORT));
                } catch (SocketTimeoutException _) {
                    // nobody has connected
                }
            }
        }

        private void act(FuzzedDataProvider data) {
            if (streams.isEmpty()) {
                return;
            }
            HostStream stream = streams.get(data.consumeInt(0, streams.size() - 1));
            MemorySegment bytes = MemorySegment.ofArray(new byte[data.consumeInt(1, 30_000)]);
            try {
                switch (data.consumeInt(0, 5)) {
                    case 0 -> stream.write(bytes, 0, bytes.byteSize(), SHORT);
                    case 1 -> {
                        int _ = stream.read(bytes, 0, bytes.byteSize(), SHORT);
                    }
                    case 2 -> stream.shutdownInput();
                    case 3 -> stream.shutdownOutput();
                    case 4 -> stream.close();
                    default -> {
                        stream.abort();
                        streams.remove(stream);
                    }
                }
            } catch (IOException _) {
                // as the guest will have it
            }
            loop.run();
        }

        /** Whatever has been, the next driver finds a device that works. */
        void finish() throws IOException {
            bench.driver().start(0, 16);
            loop.run();
            if (device.statistics().connections() != 0) {
                throw new AssertionError(device.statistics() + " after a reset");
            }
            REUSED.write(PACKET, Packet.of(1, 10, VsockBench.OP_REQUEST).toBytes(), 0, Packet.HEADER);
            bench.driver().queue(VsockBench.TX).add(Piece.readable(PACKET, Packet.HEADER));
            bench.serve(VsockBench.TX);
            bench.driver().queue(VsockBench.RX).add(Piece.writable(RX_BUFFERS, 100));
            bench.serve(VsockBench.RX);
            if (bench.driver().queue(VsockBench.RX).takeUsed().length() != Packet.HEADER) {
                throw new AssertionError("the device does not work after a reset");
            }
        }

        @Override
        public void close() {
            bench.close();
        }
    }
}
