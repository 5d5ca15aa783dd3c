package io.thimble.virtio.vsock;

import static io.thimble.virtio.vsock.VsockBench.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.virtio.testing.MockQueue.Piece;
import java.net.ConnectException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a guest may send, and what it may not have by it. */
class HostileGuestTest {
    private static final int SMALL = 16 << 10;

    private final VsockBench bench = new VsockBench();
    private HostStream bystander;

    @BeforeEach
    void start() throws Exception {
        bench.start();
        bystander = bench.connect(99);
    }

    @AfterEach
    void close() throws Exception {
        if (bench.bench.reports().isEmpty()) {
            bench.send(Packet.of(99, bystander.hostPort(), OP_RW, new byte[] {77}));
            assertThat(read(bystander, 9)).as("another connection").containsExactly(77);
        }
        bench.close();
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 2, 41, 43, 0xffff_ffffL, -1, Packet.GUEST_CID + (1L << 32)})
    void packets_from_a_foreign_address_are_dropped(long cid) {
        bench.send(Packet.of(5, 5, OP_REQUEST).withCids(cid, 2));
        assertThat(bench.receiveAll()).isEmpty();
        assertThat(bench.device.statistics().dropped()).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 3, Packet.GUEST_CID, -1, 2 + (1L << 32)})
    void packets_to_a_foreign_address_are_dropped(long cid) {
        bench.send(Packet.of(99, bystander.hostPort(), OP_RST).withCids(Packet.GUEST_CID, cid));
        assertThat(bench.receiveAll()).isEmpty();
        assertThat(bench.device.statistics().dropped()).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2, 3, 0xffff})
    void other_types_than_streams_are_refused_by_their_type(int type) {
        bench.send(Packet.of(99, bystander.hostPort(), OP_REQUEST).withType(type));
        Packet reset = bench.receive();
        assertThat(reset.op()).isEqualTo(OP_RST);
        assertThat(reset.type() & 0xffff).isEqualTo(type);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, OP_RESPONSE, OP_SHUTDOWN, OP_RW, OP_CREDIT_UPDATE, OP_CREDIT_REQUEST, 8, 0xffff})
    void packets_of_no_connection_are_answered_by_a_reset(int op) {
        bench.send(Packet.of(5, 6, op));
        Packet reset = bench.receive();
        assertThat(reset.op()).isEqualTo(OP_RST);
        assertThat(reset.srcPort()).isEqualTo(6);
        assertThat(reset.dstPort()).isEqualTo(5);
    }

    @Test
    void a_reset_of_no_connection_is_not_answered() {
        bench.send(Packet.of(5, 6, OP_RST));
        assertThat(bench.receiveAll()).isEmpty();
    }

    static Stream<Arguments> violations() {
        UnaryOperator<Packet> same = p -> p;
        return Stream.of(
                Arguments.of("a second request", OP_REQUEST, 0, same),
                Arguments.of("a response in an open connection", OP_RESPONSE, 0, same),
                Arguments.of("operation 0", 0, 0, same),
                Arguments.of("an operation that does not exist", 1234, 0, same),
                Arguments.of("more data than credit", OP_RW, SMALL + 1, same),
                Arguments.of("more data than the packet has", OP_RW, 10, (UnaryOperator<Packet>) p -> p.withLength(11)),
                Arguments.of("4 GiB of data", OP_RW, 10, (UnaryOperator<Packet>) p -> p.withLength(-1)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("violations")
    void a_broken_rule_resets_that_connection_alone(String name, int op, int size, UnaryOperator<Packet> change)
            throws Exception {
        try (VsockBench small = new VsockBench(new VsockLimits(10, SMALL, 10, SMALL), 4096, 16)) {
            small.start();
            HostStream victim = small.connect(7);
            HostStream other = small.connect(8);
            small.send(change.apply(Packet.of(7, victim.hostPort(), op, new byte[size])));
            Packet reset = small.receive();
            assertThat(reset.op()).isEqualTo(OP_RST);
            assertThat(reset.dstPort()).isEqualTo(7);
            assertThatThrownBy(() -> readStatus(victim)).hasMessageContaining("broken the protocol");
            small.send(Packet.of(8, other.hostPort(), OP_RW, new byte[SMALL]));
            assertThat(read(other, SMALL)).hasSize(SMALL);
            assertThat(small.bench.reports()).isEmpty();
        }
    }

    @Test
    void data_behind_the_end_of_data_resets_the_connection() throws Exception {
        HostStream victim = bench.connect(7);
        bench.send(Packet.of(7, victim.hostPort(), OP_SHUTDOWN).withFlags(SEND));
        bench.send(Packet.of(7, victim.hostPort(), OP_RW, new byte[1]));
        assertThat(bench.receive().op()).isEqualTo(OP_RST);
    }

    @Test
    void data_before_the_response_resets_the_connection() {
        HostStream victim = bench.device.connect(7);
        int port = bench.receive().srcPort();
        bench.send(Packet.of(7, port, OP_RW, new byte[1]));
        assertThat(bench.receive().op()).isEqualTo(OP_RST);
        assertThatThrownBy(() -> victim.awaitOpen(LIMIT)).isInstanceOf(ConnectException.class);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 20, 43})
    void a_packet_shorter_than_a_header_is_dropped(int length) {
        bench.sendRaw(new byte[length]);
        assertThat(bench.receiveAll()).isEmpty();
        assertThat(bench.device.statistics().dropped()).isEqualTo(1);
    }

    @Test
    void a_header_in_many_pieces_and_behind_writable_ones_is_read_as_it_is() {
        byte[] bytes = Packet.of(5, 6, OP_REQUEST).toBytes();
        long at = bench.bench.places().allocate(bytes);
        Piece[] pieces = new Piece[bytes.length + 1];
        for (int i = 0; i < bytes.length; i++) {
            pieces[i] = Piece.readable(at + i, 1);
        }
        pieces[bytes.length] = Piece.writable(bench.bench.places().allocate(64, 1), 64);
        bench.bench.driver().queue(TX).add(pieces);
        bench.bench.serve(TX);
        assertThat(bench.bench.driver().queue(TX).takeUsed().length()).isZero();
        assertThat(bench.receive().op()).isEqualTo(OP_RST);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 43, 44})
    void a_receive_buffer_without_room_for_a_packet_needs_a_reset(int length) {
        try (VsockBench other = new VsockBench(VsockLimits.DEFAULT, length, 4)) {
            other.start();
            HostStream stream = other.device.connect(7);
            other.loop.run();
            assertThat(other.bench.reports()).singleElement().asString().contains("no room for a packet");
            assertThatThrownBy(() -> stream.awaitOpen(LIMIT)).hasMessageContaining("driver has failed");
            HostStream later = other.device.connect(7);
            other.loop.run();
            assertThatThrownBy(() -> later.awaitOpen(LIMIT)).isInstanceOf(ConnectException.class);
        }
    }

    @Test
    void credit_that_makes_no_sense_stops_the_guest_only() throws Exception {
        HostStream stream = bench.connect(7);
        bench.send(Packet.of(7, stream.hostPort(), OP_CREDIT_UPDATE).withCredit(1000, 5));
        write(stream, new byte[10]);
        assertThat(bench.receiveAll()).as("forwarded more than was sent").isEmpty();
        bench.send(Packet.of(7, stream.hostPort(), OP_CREDIT_UPDATE).withCredit(-1, 0));
        assertThat(joined(bench.receiveAll())).as("4 GiB of room").hasSize(10);
    }

    @Test
    void a_guest_without_receive_buffers_has_at_most_so_many_resets_wait() {
        try (VsockBench starved = new VsockBench(VsockLimits.DEFAULT, 4096, 0)) {
            starved.start();
            for (int i = 0; i < 3000; i++) {
                starved.send(Packet.of(i, 6, OP_REQUEST));
            }
            assertThat(starved.device.statistics().lostResets()).isEqualTo(3000 - PendingResets.CAPACITY);
            assertThat(starved.bench.reports()).isEmpty();
        }
    }

    @Test
    void connections_are_capped_and_come_free_again() throws Exception {
        int most = 50;
        try (VsockBench small = new VsockBench(new VsockLimits(most, SMALL, most, SMALL), 4096, 16);
                HostListener listener = small.device.listen(9, 1000)) {
            small.start();
            for (int port = 0; port < most + 10; port++) {
                small.send(Packet.of(port, 9, OP_REQUEST));
            }
            List<Packet> answers = small.receiveAll();
            assertThat(answers.stream().filter(p -> p.op() == OP_RESPONSE)).hasSize(most);
            assertThat(answers.stream().filter(p -> p.op() == OP_RST)).hasSize(10);
            HostStream refused = small.device.connect(1);
            small.loop.run();
            assertThatThrownBy(() -> refused.awaitOpen(LIMIT)).hasMessageContaining("the most");

            HostStream closing = listener.accept(LIMIT);
            closing.close();
            assertThat(small.receive().op()).isEqualTo(OP_SHUTDOWN);
            HostStream instead = small.device.connect(1);
            List<Packet> packets = small.receiveAll();
            assertThat(packets.stream().map(Packet::op))
                    .as("one whose close the guest does not confirm gives way")
                    .containsExactlyInAnyOrder(OP_RST, OP_REQUEST);
            instead.abort();
        }
    }

    @Test
    void thousands_of_connections_one_after_the_other_leave_nothing() throws Exception {
        int before = bench.device.statistics().connections();
        for (int i = 0; i < 3000; i++) {
            HostStream stream = bench.connect(i);
            write(stream, new byte[] {1});
            stream.close();
            assertThat(bench.receiveAll().getLast().op()).isEqualTo(OP_SHUTDOWN);
            bench.send(Packet.of(i, stream.hostPort(), OP_RST));
        }
        assertThat(bench.device.statistics().connections()).isEqualTo(before);
        assertThat(bench.device.statistics().lostResets()).isZero();
    }

    @Test
    void a_thousand_connections_at_once_each_get_what_is_theirs() throws Exception {
        List<HostStream> streams = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
            streams.add(bench.connect(1000 + i));
        }
        for (int i = 0; i < 1000; i++) {
            bench.send(Packet.of(1000 + i, streams.get(i).hostPort(), OP_RW, new byte[] {(byte) i, (byte) (i >> 8)}));
        }
        for (int i = 0; i < 1000; i++) {
            assertThat(read(streams.get(i), 9)).containsExactly((byte) i, (byte) (i >> 8));
        }
    }
}
