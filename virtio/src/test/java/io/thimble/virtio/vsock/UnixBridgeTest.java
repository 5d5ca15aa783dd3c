package io.thimble.virtio.vsock;

import static io.thimble.virtio.vsock.VsockBench.*;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Connections that lead to Unix sockets, with the JDK's channels at the other end. */
class UnixBridgeTest {
    private static final int WINDOW = 256 << 10;

    @TempDir
    Path directory;

    private final VsockBench bench = new VsockBench();
    private Path path;

    @BeforeEach
    void start() throws IOException {
        path = directory.resolve("v");
        bench.device.bridge(path);
        bench.start();
    }

    @AfterEach
    void close() {
        bench.close();
        assertThat(path).doesNotExist();
    }

    /** A client of the host's, connected to the guest's port 7. */
    private SocketChannel client() throws IOException {
        SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(path));
        client.configureBlocking(false);
        int _ = client.write(ByteBuffer.wrap("CONNECT 7\n".getBytes(US_ASCII)));
        Packet request = bench.receive();
        assertThat(request.op()).isEqualTo(OP_REQUEST);
        bench.send(Packet.of(7, request.srcPort(), OP_RESPONSE));
        assertThat(new String(readNow(client), US_ASCII))
                .isEqualTo("OK " + Integer.toUnsignedString(request.srcPort()) + "\n");
        hostPort = request.srcPort();
        return client;
    }

    private int hostPort;

    private static byte[] readNow(SocketChannel client) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        ByteBuffer buffer = ByteBuffer.allocate(4096);
        while (client.read(buffer.clear()) > 0) {
            all.write(buffer.array(), 0, buffer.position());
        }
        return all.toByteArray();
    }

    @Test
    void what_a_slow_client_leaves_waits_as_far_as_credit_goes_and_no_byte_is_lost() throws Exception {
        try (SocketChannel client = client()) {
            byte[] block = new byte[16 << 10];
            ByteArrayOutputStream sent = new ByteArrayOutputStream();
            SplittableRandom random = new SplittableRandom(1);
            int forwarded = 0;
            while (sent.size() - forwarded + block.length <= WINDOW) {
                random.nextBytes(block);
                bench.send(Packet.of(7, hostPort, OP_RW, block));
                sent.writeBytes(block);
                for (Packet packet : bench.receiveAll()) {
                    assertThat(packet.op()).isEqualTo(OP_CREDIT_UPDATE);
                    forwarded = packet.fwdCnt();
                }
            }
            assertThat(forwarded).as("what the socket holds").isPositive().isLessThan(sent.size());

            ByteArrayOutputStream received = new ByteArrayOutputStream();
            while (received.size() < sent.size()) {
                byte[] some = readNow(client);
                assertThat(some).isNotEmpty();
                received.writeBytes(some);
                for (Packet packet : bench.receiveAll()) {
                    forwarded = packet.fwdCnt();
                }
            }
            assertThat(received.toByteArray()).isEqualTo(sent.toByteArray());
            assertThat(sent.size() - forwarded).isLessThan(WINDOW / 2);

            bench.send(Packet.of(7, hostPort, OP_RW, new byte[] {9}));
            bench.send(Packet.of(7, hostPort, OP_SHUTDOWN).withFlags(SEND));
            assertThat(readNow(client)).containsExactly(9);
            assertThat(client.read(ByteBuffer.allocate(1))).isEqualTo(-1);
        }
        assertThat(bench.receiveAll().getLast().flags()).isEqualTo(SEND | RCV);
    }

    @Test
    void a_guest_that_closes_leaves_its_last_bytes_to_a_slow_client() throws Exception {
        try (SocketChannel client = client()) {
            int total = 0;
            for (int i = 0; i < WINDOW / (32 << 10); i++) {
                bench.send(Packet.of(7, hostPort, OP_RW, new byte[32 << 10]));
                total += 32 << 10;
            }
            bench.send(Packet.of(7, hostPort, OP_SHUTDOWN).withFlags(SEND | RCV));
            assertThat(bench.receiveAll().getLast().op()).isEqualTo(OP_RST);
            assertThat(bench.device.statistics().connections()).isZero();
            int received = 0;
            for (byte[] some = readNow(client); some.length > 0; some = readNow(client)) {
                received += some.length;
                bench.loop.run();
            }
            assertThat(received).isEqualTo(total);
            assertThat(client.read(ByteBuffer.allocate(1))).isEqualTo(-1);
        }
    }

    @Test
    void a_client_that_ends_its_output_still_reads() throws Exception {
        try (SocketChannel client = client()) {
            int _ = client.write(ByteBuffer.wrap(new byte[] {1, 2}));
            client.shutdownOutput();
            List<Packet> packets = bench.receiveAll();
            assertThat(joined(packets)).containsExactly(1, 2);
            assertThat(packets.getLast().op()).isEqualTo(OP_SHUTDOWN);
            assertThat(packets.getLast().flags()).isEqualTo(SEND);
            bench.send(Packet.of(7, hostPort, OP_RW, new byte[] {3}));
            assertThat(readNow(client)).containsExactly(3);
        }
        assertThat(bench.receive().flags()).as("and closes").isEqualTo(SEND | RCV);
    }

    @Test
    void a_client_that_closes_ends_the_connection_behind_its_data() throws Exception {
        SocketChannel client = client();
        int _ = client.write(ByteBuffer.wrap(new byte[10_000]));
        client.close();
        List<Packet> packets = bench.receiveAll();
        assertThat(joined(packets)).hasSize(10_000);
        assertThat(packets.getLast().flags()).isEqualTo(SEND | RCV);
        bench.send(Packet.of(7, hostPort, OP_RST));
        assertThat(bench.device.statistics().connections()).isZero();
    }

    @Test
    void a_client_that_leaves_before_the_guest_answers_is_forgotten() throws Exception {
        SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(path));
        int _ = client.write(ByteBuffer.wrap("CONNECT 7\n".getBytes(US_ASCII)));
        assertThat(bench.receive().op()).isEqualTo(OP_REQUEST);
        client.close();
        assertThat(bench.receive().op()).isEqualTo(OP_RST);
        assertThat(bench.device.statistics().connections()).isZero();
    }

    @Test
    void clients_that_leave_before_the_guest_answers_leave_no_descriptor_behind() throws Exception {
        long before = descriptors();
        for (int i = 0; i < 20; i++) {
            SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(path));
            int _ = client.write(ByteBuffer.wrap("CONNECT 7\n".getBytes(US_ASCII)));
            assertThat(bench.receive().op()).isEqualTo(OP_REQUEST);
            client.close();
            assertThat(bench.receive().op()).isEqualTo(OP_RST);
        }
        assertThat(descriptors()).isLessThan(before + 10);
    }

    private static long descriptors() throws IOException {
        try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
            return all.count();
        }
    }

    @Test
    void a_reset_by_the_guest_closes_the_socket() throws Exception {
        try (SocketChannel client = client()) {
            bench.send(Packet.of(7, hostPort, OP_RST));
            assertThat(client.read(ByteBuffer.allocate(1))).isEqualTo(-1);
        }
    }

    @Test
    void the_guest_reaches_the_socket_of_a_port_if_there_is_one() throws Exception {
        bench.send(Packet.of(100, 9, OP_REQUEST));
        assertThat(bench.receive().op()).isEqualTo(OP_RST);
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(path + "_9"));
            bench.send(Packet.of(100, 9, OP_REQUEST));
            assertThat(bench.receive().op()).isEqualTo(OP_RESPONSE);
            try (SocketChannel accepted = server.accept()) {
                accepted.configureBlocking(false);
                bench.send(Packet.of(100, 9, OP_RW, new byte[] {5}));
                assertThat(readNow(accepted)).containsExactly(5);
            }
        }
    }

    @Test
    void clients_that_say_nothing_are_capped() throws Exception {
        try (VsockBench few = new VsockBench(new VsockLimits(3, 16 << 10, 3, 16 << 10), 4096, 8)) {
            Path other = directory.resolve("few");
            few.device.bridge(other);
            few.start();
            List<SocketChannel> clients = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                clients.add(SocketChannel.open(UnixDomainSocketAddress.of(other)));
            }
            few.loop.run();
            assertThat(clients.get(3).read(ByteBuffer.allocate(1))).isEqualTo(-1);
            for (SocketChannel client : clients) {
                client.close();
            }
            few.loop.run();
            try (SocketChannel next = SocketChannel.open(UnixDomainSocketAddress.of(other))) {
                int _ = next.write(ByteBuffer.wrap("CONNECT 7\n".getBytes(US_ASCII)));
                assertThat(few.receive().op()).isEqualTo(OP_REQUEST);
            }
        }
    }
}
