package io.thimble.virtio.vsock;

import static io.thimble.virtio.vsock.VsockBench.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.virtio.testing.MockQueue.Piece;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.channels.ClosedChannelException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Connections with well-meaning guests. */
class VsockDeviceTest {
    private final VsockBench bench = new VsockBench();

    @BeforeEach
    void start() {
        bench.start();
    }

    @AfterEach
    void close() {
        bench.close();
    }

    @Test
    void configuration_space_has_the_guests_address() {
        assertThat(bench.bench.driver().config(0, 4)).isEqualTo(Packet.GUEST_CID);
        assertThat(bench.bench.driver().config(4, 4)).isZero();
    }

    @Test
    void a_connection_from_the_host_is_asked_for_and_carries_data_both_ways() throws Exception {
        HostStream stream = bench.device.connect(7);
        Packet request = bench.receive();
        assertThat(request.op()).isEqualTo(OP_REQUEST);
        assertThat(request.dstPort()).isEqualTo(7);
        assertThat(request.bufAlloc()).isEqualTo(256 << 10);
        assertThat(request.fwdCnt()).isZero();
        bench.send(Packet.of(7, request.srcPort(), OP_RESPONSE));
        stream.awaitOpen(LIMIT);

        write(stream, new byte[] {1, 2, 3});
        Packet data = bench.receive();
        assertThat(data.op()).isEqualTo(OP_RW);
        assertThat(data.data()).containsExactly(1, 2, 3);
        bench.send(Packet.of(7, request.srcPort(), OP_RW, new byte[] {4, 5}));
        assertThat(read(stream, 10)).containsExactly(4, 5);
        assertThat(stream.guestPort()).isEqualTo(7);
        assertThat(stream.hostPort()).isEqualTo(request.srcPort());
    }

    @Test
    void a_guest_that_refuses_fails_the_connection_from_the_host() {
        HostStream stream = bench.device.connect(7);
        bench.send(Packet.of(7, bench.receive().srcPort(), OP_RST));
        assertThatThrownBy(() -> stream.awaitOpen(LIMIT))
                .isInstanceOf(ConnectException.class)
                .hasMessageContaining("nothing listens on port 7");
        assertThat(bench.receiveAll()).isEmpty();
        assertThat(bench.device.statistics().connections()).isZero();
    }

    @Test
    void without_a_driver_a_connection_fails_at_once() {
        try (VsockBench idle = new VsockBench()) {
            HostStream stream = idle.device.connect(7);
            idle.loop.run();
            assertThatThrownBy(() -> stream.awaitOpen(LIMIT))
                    .isInstanceOf(ConnectException.class)
                    .hasMessageContaining("no vsock driver");
        }
    }

    @Test
    void a_connection_from_the_guest_is_accepted_where_somebody_listens_and_refused_elsewhere() throws Exception {
        try (HostListener listener = bench.device.listen(9, 2)) {
            bench.send(Packet.of(1000, 9, OP_REQUEST));
            Packet response = bench.receive();
            assertThat(response.op()).isEqualTo(OP_RESPONSE);
            assertThat(response.srcPort()).isEqualTo(9);
            assertThat(response.dstPort()).isEqualTo(1000);
            HostStream stream = listener.accept(LIMIT);
            bench.send(Packet.of(1000, 9, OP_RW, new byte[] {1}));
            assertThat(read(stream, 10)).containsExactly(1);

            bench.send(Packet.of(1000, 8, OP_REQUEST));
            assertThat(bench.receive().op()).isEqualTo(OP_RST);
            assertThatThrownBy(() -> bench.device.listen(9, 1)).hasMessageContaining("has a listener already");
        }
        bench.send(Packet.of(1001, 9, OP_REQUEST));
        assertThat(bench.receive().op()).isEqualTo(OP_RST);
    }

    @Test
    void a_backlog_that_is_full_refuses_and_a_listener_that_closes_resets_what_waits() throws Exception {
        HostListener listener = bench.device.listen(9, 2);
        for (int port = 1; port <= 3; port++) {
            bench.send(Packet.of(port, 9, OP_REQUEST));
        }
        assertThat(bench.receiveAll().stream().map(Packet::op))
                .containsExactlyInAnyOrder(OP_RESPONSE, OP_RESPONSE, OP_RST);
        HostStream first = listener.accept(LIMIT);
        listener.close();
        Packet reset = bench.receive();
        assertThat(reset.op()).isEqualTo(OP_RST);
        assertThat(reset.dstPort()).isEqualTo(2);
        bench.send(Packet.of(1, 9, OP_RW, new byte[] {5}));
        assertThat(read(first, 9)).as("one that was accepted lives on").containsExactly(5);
        assertThatThrownBy(() -> listener.accept(LIMIT)).isInstanceOf(ClosedChannelException.class);
    }

    @Test
    void the_guest_never_gets_more_than_it_has_room_for() throws Exception {
        HostStream stream = bench.device.connect(7);
        int port = bench.receive().srcPort();
        bench.send(Packet.of(7, port, OP_RESPONSE).withCredit(10_000, 0));
        stream.awaitOpen(LIMIT);
        byte[] sent = new byte[100_000];
        for (int i = 0; i < sent.length; i++) {
            sent[i] = (byte) (i ^ i >> 8);
        }
        write(stream, sent);
        List<Packet> packets = new ArrayList<>(bench.receiveAll());
        assertThat(joined(packets)).hasSize(10_000);
        bench.send(Packet.of(7, port, OP_CREDIT_UPDATE).withCredit(10_000, 6000));
        packets.addAll(bench.receiveAll());
        assertThat(joined(packets)).hasSize(16_000);
        bench.send(Packet.of(7, port, OP_CREDIT_UPDATE).withCredit(5000, 6000));
        assertThat(bench.receiveAll()).as("less room than is under way").isEmpty();
        bench.send(Packet.of(7, port, OP_CREDIT_UPDATE).withCredit(1 << 20, 7000));
        packets.addAll(bench.receiveAll());
        assertThat(joined(packets)).isEqualTo(sent);
    }

    @Test
    void the_guest_hears_of_room_when_half_of_it_is_free_again_or_when_it_asks() throws Exception {
        HostStream stream = bench.connect(7);
        int window = 256 << 10;
        byte[] block = new byte[32 << 10];
        for (int i = 0; i < 8; i++) {
            bench.send(Packet.of(7, stream.hostPort(), OP_RW, block));
        }
        assertThat(bench.receiveAll()).isEmpty();
        for (int i = 0; i < 3; i++) {
            assertThat(read(stream, block.length)).hasSize(block.length);
            bench.loop.run();
        }
        assertThat(bench.receiveAll()).as("3/8 are free").isEmpty();
        bench.send(Packet.of(7, stream.hostPort(), OP_CREDIT_REQUEST));
        Packet asked = bench.receive();
        assertThat(asked.op()).isEqualTo(OP_CREDIT_UPDATE);
        assertThat(asked.fwdCnt()).isEqualTo(3 * block.length);
        for (int i = 0; i < 4; i++) {
            assertThat(read(stream, block.length)).hasSize(block.length);
        }
        Packet update = bench.receive();
        assertThat(update.op()).isEqualTo(OP_CREDIT_UPDATE);
        assertThat(update.bufAlloc()).isEqualTo(window);
        assertThat(update.fwdCnt()).isEqualTo(7 * block.length);
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 100, 4096, 100_000})
    void a_guest_that_has_no_more_under_way_than_its_own_buffer_takes_hears_of_room_in_time(int buffer)
            throws Exception {
        HostStream stream = bench.device.connect(7);
        int port = bench.receive().srcPort();
        bench.send(Packet.of(7, port, OP_RESPONSE).withCredit(buffer, 0));
        stream.awaitOpen(LIMIT);
        int sent = 0;
        int forwarded = 0;
        for (int round = 0; round < 20; round++) {
            byte[] data = new byte[Math.min(60_000, buffer - (sent - forwarded))];
            assertThat(data).as("room in round " + round).isNotEmpty();
            bench.send(Packet.of(7, port, OP_RW, data).withCredit(buffer, 0));
            sent += data.length;
            while (stream.available() > 0) {
                assertThat(read(stream, 1000)).isNotEmpty();
            }
            for (Packet packet : bench.receiveAll()) {
                forwarded = packet.fwdCnt();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {45, 64, 1000, 4096, 65536 + 44})
    void receive_buffers_of_any_size_are_filled(int size) throws Exception {
        try (VsockBench other = new VsockBench(VsockLimits.DEFAULT, size, 32)) {
            other.start();
            HostStream stream = other.connect(7);
            byte[] sent = new byte[size > 64 ? 200_000 : 300];
            for (int i = 0; i < sent.length; i++) {
                sent[i] = (byte) (i ^ i >> 8);
            }
            write(stream, sent);
            List<Packet> packets = other.receiveAll();
            assertThat(joined(packets)).isEqualTo(sent);
            // Bursts grow from 4 KiB to 256 KiB; within each, only the last buffer may have room left.
            long full = packets.stream()
                    .filter(p -> p.length() == size - Packet.HEADER)
                    .count();
            assertThat(packets.size() - full).isLessThan(12);
        }
    }

    @Test
    void the_hosts_end_of_output_is_told_behind_the_data_and_input_goes_on() throws Exception {
        HostStream stream = bench.connect(7);
        write(stream, new byte[] {1});
        stream.shutdownOutput();
        List<Packet> packets = bench.receiveAll();
        assertThat(packets.stream().map(Packet::op)).containsExactly(OP_RW, OP_SHUTDOWN);
        assertThat(packets.get(1).flags()).isEqualTo(SEND);
        bench.send(Packet.of(7, stream.hostPort(), OP_RW, new byte[] {2}));
        assertThat(read(stream, 9)).containsExactly(2);
        assertThatThrownBy(() -> write(stream, new byte[1])).isInstanceOf(ClosedChannelException.class);

        stream.shutdownInput();
        Packet both = bench.receive();
        assertThat(both.flags()).isEqualTo(SEND | RCV);
        assertThat(readStatus(stream)).isEqualTo(-1);
        bench.send(Packet.of(7, stream.hostPort(), OP_RST));
        assertThat(bench.device.statistics().connections()).isZero();
    }

    @Test
    void the_guests_end_of_output_is_read_behind_the_data_and_output_goes_on() throws Exception {
        HostStream stream = bench.connect(7);
        bench.send(Packet.of(7, stream.hostPort(), OP_RW, new byte[] {1}));
        bench.send(Packet.of(7, stream.hostPort(), OP_SHUTDOWN).withFlags(SEND));
        assertThat(read(stream, 9)).containsExactly(1);
        assertThat(readStatus(stream)).isEqualTo(-1);
        write(stream, new byte[] {2});
        assertThat(bench.receive().data()).containsExactly(2);
    }

    @Test
    void a_guest_that_closes_is_answered_by_a_reset_and_its_data_can_still_be_read() throws Exception {
        HostStream stream = bench.connect(7);
        bench.send(Packet.of(7, stream.hostPort(), OP_RW, new byte[] {1, 2}));
        bench.send(Packet.of(7, stream.hostPort(), OP_SHUTDOWN).withFlags(SEND | RCV));
        assertThat(bench.receive().op()).isEqualTo(OP_RST);
        assertThat(bench.device.statistics().connections()).isZero();
        assertThatThrownBy(() -> write(stream, new byte[1])).hasMessageContaining("Broken pipe");
        assertThat(read(stream, 9)).containsExactly(1, 2);
        assertThat(readStatus(stream)).isEqualTo(-1);
    }

    @Test
    void a_guest_that_reads_no_more_breaks_the_hosts_pipe() throws Exception {
        HostStream stream = bench.connect(7);
        bench.send(Packet.of(7, stream.hostPort(), OP_SHUTDOWN).withFlags(RCV));
        assertThatThrownBy(() -> write(stream, new byte[1])).hasMessageContaining("Broken pipe");
        bench.send(Packet.of(7, stream.hostPort(), OP_RW, new byte[] {1}));
        assertThat(read(stream, 9)).containsExactly(1);
        stream.close();
        assertThat(bench.receiveAll().getLast().flags()).isEqualTo(SEND | RCV);
    }

    @Test
    void closing_sends_what_was_written_first_and_ends_when_the_guest_confirms() throws Exception {
        HostStream stream = bench.connect(7);
        write(stream, new byte[20_000]);
        stream.close();
        List<Packet> packets = bench.receiveAll();
        assertThat(joined(packets)).hasSize(20_000);
        assertThat(packets.getLast().op()).isEqualTo(OP_SHUTDOWN);
        assertThat(packets.getLast().flags()).isEqualTo(SEND | RCV);
        assertThat(bench.device.statistics().connections()).isEqualTo(1);
        bench.send(Packet.of(7, stream.hostPort(), OP_RW, new byte[] {1})); // was on its way
        bench.send(Packet.of(7, stream.hostPort(), OP_SHUTDOWN).withFlags(SEND | RCV));
        assertThat(bench.receive().op()).isEqualTo(OP_RST);
        assertThat(bench.device.statistics().connections()).isZero();
    }

    @Test
    void an_abort_and_a_reset_end_a_connection_at_once() throws Exception {
        HostStream aborted = bench.connect(7);
        aborted.abort();
        assertThat(bench.receive().op()).isEqualTo(OP_RST);

        HostStream reset = bench.connect(8);
        bench.send(Packet.of(8, reset.hostPort(), OP_RW, new byte[] {1}));
        bench.send(Packet.of(8, reset.hostPort(), OP_RST));
        assertThat(read(reset, 9)).as("what came before").containsExactly(1);
        assertThatThrownBy(() -> readStatus(reset))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("reset");
        assertThat(bench.receiveAll()).isEmpty();
        assertThat(bench.device.statistics().connections()).isZero();
    }

    @Test
    void nothing_happens_to_guest_memory_while_paused() throws Exception {
        HostStream stream = bench.connect(7);
        bench.bench.core().pause(() -> {});
        write(stream, new byte[] {1});
        HostStream second = bench.device.connect(8);
        bench.loop.run();
        bench.collect();
        assertThat(bench.rx().pollUsed()).isEmpty();
        bench.bench.core().resume();
        assertThat(bench.receiveAll().stream().map(Packet::op)).containsExactlyInAnyOrder(OP_RW, OP_REQUEST);
        second.abort();
    }

    @Test
    void a_device_reset_ends_connections_and_the_next_driver_makes_new_ones() throws Exception {
        HostListener listener = bench.device.listen(9, 5);
        HostStream stream = bench.connect(7);
        HostStream asked = bench.device.connect(8);
        bench.loop.run();
        bench.bench.driver().reset();
        bench.loop.run();
        assertThatThrownBy(() -> readStatus(stream)).hasMessageContaining("has reset its vsock device");
        assertThatThrownBy(() -> asked.awaitOpen(LIMIT)).isInstanceOf(ConnectException.class);

        bench.start();
        assertThat(bench.connect(7).isClosed()).isFalse();
        bench.send(Packet.of(1000, 9, OP_REQUEST));
        assertThat(bench.receive().op()).as("listeners stay").isEqualTo(OP_RESPONSE);
        listener.close();
    }

    @Test
    void a_restored_device_tells_the_driver_that_its_connections_are_gone() {
        VsockDevice.State state = bench.device.state();
        try (VsockBench other = new VsockBench()) {
            other.device.restore(state);
            other.start();
            long at = other.bench.places().allocate(8, 8);
            other.bench.driver().queue(EVENT).add(Piece.writable(at, 8));
            other.bench.places().memory().putLong(at, -1);
            other.bench.serve(EVENT);
            assertThat(other.bench.driver().queue(EVENT).takeUsed().length()).isEqualTo(4);
            assertThat(other.bench.places().memory().getInt(at)).isZero();
            other.bench.driver().queue(EVENT).add(Piece.writable(at, 8));
            other.bench.serve(EVENT);
            assertThat(other.bench.driver().queue(EVENT).pollUsed()).as("once").isEmpty();
        }
    }

    @Test
    void connections_take_turns() throws Exception {
        try (VsockBench few = new VsockBench(VsockLimits.DEFAULT, 4096, 8)) {
            few.start();
            HostStream much = few.connect(7);
            HostStream little = few.connect(8);
            write(much, new byte[200_000]);
            few.loop.run(); // as much as there are buffers
            write(little, new byte[] {1});
            List<Packet> packets = few.receiveAll();
            int at = 0;
            while (packets.get(at).dstPort() != 8) {
                at++;
            }
            assertThat(at).as("of " + packets.size()).isLessThanOrEqualTo(16);
            assertThat(packets.stream()
                            .filter(p -> p.dstPort() == 7)
                            .mapToInt(Packet::length)
                            .sum())
                    .isEqualTo(200_000);
        }
    }

    @Test
    void closing_the_device_ends_everything() throws Exception {
        HostStream stream = bench.connect(7);
        HostListener listener = bench.device.listen(9, 5);
        bench.close();
        assertThatThrownBy(() -> readStatus(stream)).hasMessageContaining("the VM has ended");
        assertThatThrownBy(() -> listener.accept(LIMIT)).isInstanceOf(ClosedChannelException.class);
    }
}
