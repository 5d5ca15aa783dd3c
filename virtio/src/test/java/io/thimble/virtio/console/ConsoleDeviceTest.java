package io.thimble.virtio.console;

import static io.thimble.virtio.console.ConsoleFixture.receive;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.virtio.console.ConsoleFixture.Output;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** One console, without F_MULTIPORT. */
@Timeout(60)
class ConsoleDeviceTest {
    private static final int IN = 0;
    private static final int OUT = 1;
    private static final int COLUMNS = 0;
    private static final int ROWS = 2;
    private static final int EMERGENCY = 8;

    private final Output output = new Output();
    private final ConsolePort port = ConsolePort.console(output);
    private final ConsoleFixture fixture = new ConsoleFixture(port);

    @AfterEach
    void close() {
        fixture.close();
    }

    @Test
    void offers_no_ports_where_there_is_one_console() {
        assertThat(fixture.driver.offeredFeatures() & ConsoleFixture.MULTIPORT).isZero();
        assertThat(fixture.device.queueCount()).isEqualTo(2);
    }

    @Test
    void what_the_guest_writes_comes_out_in_order_from_chains_of_any_shape() {
        fixture.start(0);
        fixture.send(OUT, "one ");
        fixture.driver
                .queue(OUT)
                .add(
                        Piece.readable(fixture.places.allocate("t".getBytes(StandardCharsets.US_ASCII)), 1),
                        Piece.readable(fixture.places.allocate("wo ".getBytes(StandardCharsets.US_ASCII)), 3));
        fixture.driver
                .queue(OUT)
                .addIndirect(Piece.readable(fixture.places.allocate("three".getBytes(StandardCharsets.US_ASCII)), 5));
        fixture.addBuffer(OUT, 16); // nothing to read in it: returned, and no fault
        fixture.driver.notifyQueue(OUT);
        fixture.loop.run();
        assertThat(output.text()).isEqualTo("one two three");
        for (int i = 0; i < 4; i++) {
            assertThat(fixture.driver.queue(OUT).takeUsed().length()).isZero();
        }
        assertThat(fixture.driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_VRING);
        assertThat(fixture.faults).isEmpty();
    }

    @Test
    void a_full_output_holds_the_buffer_back_and_goes_on_where_it_was() {
        fixture.start(0);
        output.room = 3;
        fixture.send(OUT, "abcdef");
        fixture.send(OUT, "ghi");
        fixture.loop.run();
        assertThat(output.text()).isEqualTo("abc");
        assertThat(fixture.driver.queue(OUT).pollUsed()).isEmpty();

        output.giveRoom(5);
        fixture.loop.run();
        assertThat(output.text()).isEqualTo("abcdefgh");
        assertThat(fixture.driver.queue(OUT).pollUsed()).isPresent();
        assertThat(fixture.driver.queue(OUT).pollUsed()).isEmpty();

        output.giveRoom(100);
        fixture.loop.run();
        assertThat(output.text()).isEqualTo("abcdefghi");
        assertThat(fixture.driver.queue(OUT).pollUsed()).isPresent();
    }

    @Test
    void a_guest_that_shortens_a_buffer_that_is_held_back_gets_it_back() {
        fixture.start(0);
        output.room = 3;
        fixture.send(OUT, "abcdef");
        fixture.loop.run();
        long descriptor = fixture.driver.queue(OUT).descriptors();
        fixture.places.memory().putInt(descriptor + 8, 2);
        output.giveRoom(100);
        fixture.loop.run();
        assertThat(output.text()).isEqualTo("abc");
        assertThat(fixture.driver.queue(OUT).pollUsed()).isPresent();
        fixture.send(OUT, "next");
        fixture.loop.run();
        assertThat(output.text()).isEqualTo("abcnext");
    }

    @Test
    void a_buffer_of_gigabytes_is_written_in_turns() {
        fixture.start(0);
        long page = fixture.places.allocate(1 << 20, 4096);
        Piece[] pieces = Collections.nCopies(40, Piece.readable(page, 1 << 20)).toArray(Piece[]::new);
        fixture.driver.queue(OUT).addIndirect(pieces);
        fixture.driver.notifyQueue(OUT);
        AtomicInteger others = new AtomicInteger();
        fixture.loop.post(new Runnable() {
            @Override
            public void run() {
                if (!fixture.driver.queue(OUT).hasUsed() && others.get() < 10_000) {
                    others.incrementAndGet();
                    fixture.loop.post(this);
                }
            }
        });
        fixture.loop.run();
        assertThat(output.taken.size()).isEqualTo(40 << 20);
        assertThat(others.get()).as("turns of others meanwhile").isGreaterThan(100);
    }

    @Test
    void input_fills_the_guests_buffers_and_waits_for_more_of_them() {
        fixture.start(0);
        fixture.addBuffer(IN, 4);
        fixture.driver.notifyQueue(IN);
        assertThat(receive(port, "hello world")).isEqualTo(11);
        fixture.loop.run();
        assertThat(fixture.received(IN)).isEqualTo("hell");
        fixture.addBuffer(IN, 100);
        fixture.driver.notifyQueue(IN);
        fixture.loop.run();
        assertThat(fixture.received(IN)).isEqualTo("o world");
        assertThat(fixture.driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_VRING);
    }

    @Test
    void input_before_the_driver_waits_for_it() {
        assertThat(receive(port, "early")).isEqualTo(5);
        fixture.start(0);
        fixture.addBuffer(IN, 100);
        fixture.driver.notifyQueue(IN);
        fixture.loop.run();
        assertThat(fixture.received(IN)).isEqualTo("early");
    }

    @Test
    void input_for_a_guest_that_does_not_read_is_bounded_and_room_is_told() {
        fixture.start(0);
        AtomicInteger told = new AtomicInteger();
        port.onInputRoom(told::incrementAndGet);
        byte[] much = new byte[2 * ConsolePort.INPUT_CAPACITY];
        assertThat(port.receive(much, 0, much.length)).isEqualTo(ConsolePort.INPUT_CAPACITY);
        assertThat(port.receive(much, 0, 1)).isZero();
        fixture.loop.run();
        assertThat(told).hasValue(0);
        fixture.addBuffer(IN, 100);
        fixture.driver.notifyQueue(IN);
        fixture.loop.run();
        assertThat(told).hasValue(1);
        assertThat(port.receive(much, 0, much.length)).isEqualTo(100);
    }

    @Test
    void a_new_size_is_in_the_configuration_with_an_interrupt_if_it_was_negotiated() {
        fixture.device.setSize(24, 80);
        fixture.start(ConsoleFixture.SIZE);
        assertThat(fixture.driver.config(COLUMNS, 2)).isEqualTo(80);
        assertThat(fixture.driver.config(ROWS, 2)).isEqualTo(24);
        int generation = fixture.driver.read(VirtioMmioConstants.VIRTIO_MMIO_CONFIG_GENERATION);
        fixture.device.setSize(50, 132);
        fixture.loop.run();
        assertThat(fixture.driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG);
        assertThat(fixture.driver.config(COLUMNS, 4)).isEqualTo(132 | 50 << 16);
        assertThat(fixture.driver.read(VirtioMmioConstants.VIRTIO_MMIO_CONFIG_GENERATION))
                .isNotEqualTo(generation);
        fixture.start(0);
        fixture.device.setSize(1, 2);
        fixture.loop.run();
        assertThat(fixture.driver.takeInterrupts()).isZero();
    }

    @Test
    void an_emergency_write_needs_no_driver_and_is_lost_where_there_is_no_room() {
        fixture.driver.writeConfig(EMERGENCY, 4, 0x1234_5600 | '!');
        fixture.driver.writeConfig(EMERGENCY, 1, '?');
        fixture.driver.writeConfig(0, 4, 'x');
        fixture.driver.writeConfig(EMERGENCY + 4, 4, 'x');
        output.room = 0;
        fixture.driver.writeConfig(EMERGENCY, 4, 'x');
        assertThat(output.text()).isEqualTo("!?");
    }

    @Test
    void paused_it_moves_nothing_and_resumed_all_that_came_meanwhile() {
        fixture.start(0);
        fixture.addBuffer(IN, 100);
        fixture.core.pause(() -> {});
        fixture.send(OUT, "out");
        assertThat(receive(port, "in")).isEqualTo(2);
        fixture.loop.run();
        assertThat(output.text()).isEmpty();
        assertThat(fixture.received(IN)).isEmpty();
        fixture.core.resume();
        fixture.loop.run();
        assertThat(output.text()).isEqualTo("out");
        assertThat(fixture.received(IN)).isEqualTo("in");
    }

    @Test
    void a_reset_forgets_the_driver_and_keeps_what_it_has_not_read() {
        fixture.start(0);
        output.room = 1;
        fixture.send(OUT, "lost");
        assertThat(receive(port, "kept")).isEqualTo(4);
        fixture.loop.run();
        fixture.start(0);
        output.giveRoom(100);
        fixture.addBuffer(IN, 100);
        fixture.driver.notifyQueue(IN);
        fixture.send(OUT, "new");
        fixture.loop.run();
        assertThat(fixture.received(IN)).isEqualTo("kept");
        assertThat(output.text()).isEqualTo("lnew");
    }

    @Test
    void closed_it_writes_out_what_the_guest_had_made_available() {
        fixture.start(0);
        output.room = 2;
        output.moreRoomAtTheEnd = 3;
        fixture.send(OUT, "abcdef");
        fixture.send(OUT, "gh");
        assertThat(fixture.core.close(Duration.ofSeconds(10))).isTrue();
        assertThat(output.text()).isEqualTo("abcdefgh");
    }

    @Test
    void closed_with_a_full_output_it_gives_up() {
        fixture.start(0);
        output.room = 2;
        fixture.send(OUT, "abcdef");
        assertThat(fixture.core.close(Duration.ofSeconds(10))).isTrue();
        assertThat(output.text()).isEqualTo("ab");
    }

    @Test
    void a_state_goes_on_in_another_device() {
        fixture.start(0);
        output.room = 2;
        fixture.send(OUT, "abcdef");
        assertThat(receive(port, "input")).isEqualTo(5);
        fixture.loop.run();
        fixture.core.pause(() -> {});

        Output restored = new Output();
        ConsoleDevice device = new ConsoleDevice("again", List.of(ConsolePort.console(restored)));
        device.restore(fixture.device.state());
        assertThat(device.state()).isEqualTo(fixture.device.state());
        assertThat(device.state().ports().getFirst().sent()).isEqualTo(2);
        ConsoleDevice other = new ConsoleDevice("other", List.of(ConsolePort.console(restored), port));
        assertThatThrownBy(() -> other.restore(device.state())).isInstanceOf(IllegalArgumentException.class);
    }
}
