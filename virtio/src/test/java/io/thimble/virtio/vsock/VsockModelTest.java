package io.thimble.virtio.vsock;

import static io.thimble.virtio.vsock.VsockBench.*;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A guest that keeps the rules, a host, and the device between them, each doing anything at random: what one end reads is what
 * the other wrote, in order, and all of it when the writer ended its output; no end sends more than there is room for.
 */
class VsockModelTest {
    private static final int STEPS = 3000;
    private static final int PORT = 9;

    /** Both ends of one connection, as each of them ought to see it. */
    private final class Pair {
        final int guestPort;
        final int hostPort;
        final HostStream host;
        final int room; // of the guest's
        int hostRoom; // as the device last told
        int hostForwarded;

        final ByteArrayOutputStream hostWrote = new ByteArrayOutputStream();
        final ByteArrayOutputStream guestGot = new ByteArrayOutputStream();
        final ByteArrayOutputStream guestWrote = new ByteArrayOutputStream();
        final ByteArrayOutputStream hostRead = new ByteArrayOutputStream();
        int guestTook; // of what it got
        int guestSaid;
        boolean hostEnded;
        boolean guestEnded;
        boolean guestSawEnd;
        boolean hostSawEnd;

        Pair(int guestPort, int hostPort, HostStream host, int room, Packet first) {
            this.guestPort = guestPort;
            this.hostPort = hostPort;
            this.host = host;
            this.room = room;
            heard(first);
        }

        void heard(Packet packet) {
            hostRoom = packet.bufAlloc();
            hostForwarded = packet.fwdCnt();
            assertThat(Integer.compareUnsigned(hostForwarded, guestWrote.size()))
                    .as("forwarded no more than was sent")
                    .isLessThanOrEqualTo(0);
        }

        void send(int op, byte... data) {
            guestSaid = guestTook;
            bench.send(Packet.of(guestPort, hostPort, op, data).withCredit(room, guestSaid));
        }
    }

    private final VsockBench bench = new VsockBench(new VsockLimits(100, 64 << 10, 3, 16 << 10), 1500, 40);
    private final Map<Integer, Pair> pairs = new HashMap<>(); // by guest port
    private SplittableRandom random = new SplittableRandom(0);
    private int nextPort = 10_000;

    static LongStream seeds() {
        long fresh = System.nanoTime();
        return LongStream.concat(LongStream.range(0, 8), LongStream.range(fresh, fresh + 4));
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void what_is_read_is_what_was_written(long seed) throws Exception {
        random = new SplittableRandom(seed);
        try (bench;
                HostListener listener = bench.device.listen(PORT, 100)) {
            bench.start();
            for (int step = 0; step < STEPS; step++) {
                step(listener);
                take(bench.receiveAll());
            }
            for (Pair pair : pairs.values()) {
                finish(pair);
            }
            assertThat(bench.bench.reports()).isEmpty();
            assertThat(bench.device.statistics().dropped()).isZero();
        }
    }

    private void step(HostListener listener) throws IOException {
        if (pairs.size() < 6 && random.nextInt(20) == 0) {
            connect(listener);
        } else if (!pairs.isEmpty()) {
            List<Pair> all = new ArrayList<>(pairs.values());
            act(all.get(random.nextInt(all.size())));
        }
    }

    private void connect(HostListener listener) throws IOException {
        int guestPort = nextPort++;
        int room = 1 + random.nextInt(50_000);
        Packet first;
        HostStream host;
        int hostPort;
        if (random.nextBoolean()) {
            host = bench.device.connect(guestPort);
            first = onlyNew(OP_REQUEST);
            hostPort = first.srcPort();
            bench.send(Packet.of(guestPort, hostPort, OP_RESPONSE).withCredit(room, 0));
            host.awaitOpen(LIMIT);
        } else {
            hostPort = PORT;
            bench.send(Packet.of(guestPort, PORT, OP_REQUEST).withCredit(room, 0));
            first = onlyNew(OP_RESPONSE);
            host = listener.accept(LIMIT);
        }
        pairs.put(guestPort, new Pair(guestPort, hostPort, host, room, first));
    }

    private Packet onlyNew(int op) {
        Packet found = null;
        for (Packet packet : bench.receiveAll()) {
            if (packet.op() == op) {
                found = packet;
            } else {
                take(List.of(packet));
            }
        }
        return Objects.requireNonNull(found);
    }

    private void act(Pair pair) throws IOException {
        switch (random.nextInt(9)) {
            case 0, 1 -> hostWrites(pair);
            case 2, 3 -> guestWrites(pair);
            case 4 -> hostReads(pair);
            case 5 -> guestTakes(pair);
            case 6 -> pair.send(random.nextBoolean() ? OP_CREDIT_UPDATE : OP_CREDIT_REQUEST);
            case 7 -> {
                if (random.nextInt(30) == 0) {
                    pair.host.shutdownOutput();
                    pair.hostEnded = true;
                }
            }
            default -> {
                if (random.nextInt(30) == 0 && !pair.guestEnded) {
                    pair.guestEnded = true;
                    pair.guestSaid = pair.guestTook;
                    bench.send(Packet.of(pair.guestPort, pair.hostPort, OP_SHUTDOWN)
                            .withFlags(SEND)
                            .withCredit(pair.room, pair.guestSaid));
                } else if (random.nextInt(10) == 0) {
                    bench.bench.core().pause(() -> {});
                    bench.loop.run();
                    bench.bench.core().resume();
                }
            }
        }
    }

    private byte[] randomBytes(int most) {
        byte[] bytes = new byte[random.nextInt(most + 1)];
        random.nextBytes(bytes);
        return bytes;
    }

    /** No more than there is room for, since the loop turns on this thread. */
    private void hostWrites(Pair pair) throws IOException {
        int unsent = pair.hostWrote.size() - pair.guestGot.size();
        if (!pair.hostEnded) {
            byte[] bytes = randomBytes(Math.min(20_000, (256 << 10) - unsent));
            write(pair.host, bytes);
            pair.hostWrote.writeBytes(bytes);
        }
    }

    private void guestWrites(Pair pair) {
        int free = pair.hostRoom - (pair.guestWrote.size() - pair.hostForwarded);
        assertThat(free).isNotNegative();
        if (!pair.guestEnded) {
            byte[] bytes = randomBytes(Math.min(20_000, free));
            pair.guestWrote.writeBytes(bytes);
            pair.send(OP_RW, bytes);
        }
    }

    private void hostReads(Pair pair) throws IOException {
        int available = pair.host.available();
        if (available > 0) {
            pair.hostRead.writeBytes(read(pair.host, 1 + random.nextInt(2 * available)));
        } else if (pair.guestEnded && !pair.hostSawEnd) {
            assertThat(readStatus(pair.host)).isEqualTo(-1);
            pair.hostSawEnd = true;
        }
    }

    private void guestTakes(Pair pair) {
        pair.guestTook += random.nextInt(pair.guestGot.size() - pair.guestTook + 1);
        if (random.nextBoolean()) {
            pair.send(OP_CREDIT_UPDATE);
        }
    }

    private void take(List<Packet> packets) {
        for (Packet packet : packets) {
            Pair pair = Objects.requireNonNull(pairs.get(packet.dstPort()), packet::toString);
            assertThat(packet.srcPort()).isEqualTo(pair.hostPort);
            pair.heard(packet);
            if (packet.op() == OP_RW) {
                assertThat(pair.guestSawEnd).isFalse();
                pair.guestGot.writeBytes(packet.data());
                assertThat(pair.guestGot.size() - pair.guestSaid).isLessThanOrEqualTo(pair.room);
            } else if (packet.op() == OP_SHUTDOWN) {
                assertThat(packet.flags()).isEqualTo(SEND);
                pair.guestSawEnd = true;
            } else {
                assertThat(packet.op()).isEqualTo(OP_CREDIT_UPDATE);
            }
        }
    }

    /** Lets everything flow to its end. */
    private void finish(Pair pair) throws IOException {
        pair.host.shutdownOutput();
        while (!pair.guestSawEnd) {
            take(bench.receiveAll());
            pair.guestTook = pair.guestGot.size();
            pair.send(OP_CREDIT_UPDATE);
        }
        while (pair.host.available() > 0) {
            pair.hostRead.writeBytes(read(pair.host, 10_000));
        }
        assertThat(pair.guestGot.toByteArray()).isEqualTo(pair.hostWrote.toByteArray());
        assertThat(pair.hostRead.toByteArray()).isEqualTo(pair.guestWrote.toByteArray());
    }
}
