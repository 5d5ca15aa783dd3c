package io.thimble.virtio.console;

import static io.thimble.linux.abi.VirtioConsoleConstants.VIRTIO_CONSOLE_CONSOLE_PORT;
import static io.thimble.linux.abi.VirtioConsoleConstants.VIRTIO_CONSOLE_DEVICE_READY;
import static io.thimble.linux.abi.VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_ADD;
import static io.thimble.linux.abi.VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_NAME;
import static io.thimble.linux.abi.VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_OPEN;
import static io.thimble.linux.abi.VirtioConsoleConstants.VIRTIO_CONSOLE_PORT_READY;
import static io.thimble.linux.abi.VirtioConsoleConstants.VIRTIO_CONSOLE_RESIZE;
import static io.thimble.virtio.console.ConsoleFixture.CONTROL_IN;
import static io.thimble.virtio.console.ConsoleFixture.CONTROL_OUT;
import static io.thimble.virtio.console.ConsoleFixture.receive;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.virtio.console.ConsoleFixture.Message;
import io.thimble.virtio.console.ConsoleFixture.Output;
import io.thimble.virtio.testing.MockQueue.Piece;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Several ports: control messages, and drivers that send wrong ones. */
@Timeout(60)
class PortsTest {
    private static final long FEATURES = ConsoleFixture.MULTIPORT | ConsoleFixture.SIZE;

    private final Output console = new Output();
    private final Output data = new Output();
    private final ConsolePort consolePort = ConsolePort.console(console);
    private final ConsolePort dataPort = ConsolePort.named("data", data);
    private final ConsolePort readOnly = ConsolePort.readOnly("to guest");
    private final ConsoleFixture fixture = new ConsoleFixture(consolePort, dataPort, readOnly);

    @AfterEach
    void close() {
        fixture.close();
    }

    @Test
    void announces_its_ports_in_their_order_when_the_driver_is_ready() {
        assertThat(fixture.device.queueCount()).isEqualTo(8);
        assertThat(fixture.driver.config(4, 4)).as("max_nr_ports").isEqualTo(3);
        fixture.start(FEATURES);
        assertThat(fixture.messages())
                .containsExactly(
                        new Message(0, VIRTIO_CONSOLE_PORT_ADD, 1, ""),
                        new Message(1, VIRTIO_CONSOLE_PORT_ADD, 1, ""),
                        new Message(2, VIRTIO_CONSOLE_PORT_ADD, 1, ""));
    }

    @Test
    void a_ready_port_is_told_what_it_is_and_that_the_host_has_it_open() {
        fixture.device.setSize(24, 80);
        fixture.start(FEATURES);
        int _ = fixture.messages().size();
        fixture.control(0, VIRTIO_CONSOLE_PORT_READY, 1);
        fixture.control(1, VIRTIO_CONSOLE_PORT_READY, 1);
        assertThat(fixture.messages())
                .containsExactly(
                        new Message(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, ""),
                        new Message(0, VIRTIO_CONSOLE_RESIZE, 0, "\120\0\030\0"),
                        new Message(0, VIRTIO_CONSOLE_PORT_OPEN, 1, ""),
                        new Message(1, VIRTIO_CONSOLE_PORT_NAME, 1, "data"),
                        new Message(1, VIRTIO_CONSOLE_PORT_OPEN, 1, ""));
    }

    @Test
    void an_open_console_is_told_its_new_size() {
        fixture.start(FEATURES);
        fixture.control(0, VIRTIO_CONSOLE_PORT_READY, 1);
        fixture.control(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
        int _ = fixture.messages().size();
        fixture.device.setSize(1, 2);
        fixture.device.setSize(50, 100);
        fixture.loop.run();
        assertThat(fixture.messages()).containsExactly(new Message(0, VIRTIO_CONSOLE_RESIZE, 0, "\144\0\062\0"));
    }

    @Test
    void each_port_has_its_own_stream_both_ways_and_input_waits_until_the_guest_opens_it() {
        fixture.start(FEATURES);
        for (int queue : new int[] {0, 4, 6}) {
            fixture.addBuffer(queue, 64);
            fixture.driver.notifyQueue(queue);
        }
        assertThat(receive(consolePort, "c")).isEqualTo(1);
        assertThat(receive(dataPort, "d")).isEqualTo(1);
        fixture.control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
        assertThat(fixture.received(0)).isEmpty();
        assertThat(fixture.received(4)).isEqualTo("d");
        fixture.control(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
        assertThat(fixture.received(0)).isEqualTo("c");
        fixture.send(1, "to the console");
        fixture.send(5, "to the data port");
        fixture.send(7, "to nobody");
        fixture.loop.run();
        assertThat(console.text()).isEqualTo("to the console");
        assertThat(data.text()).isEqualTo("to the data port");
        assertThat(fixture.driver.queue(7).pollUsed()).isPresent();
    }

    @Test
    void a_read_only_port_is_closed_once_when_all_of_its_input_was_read() {
        fixture.start(FEATURES);
        fixture.control(2, VIRTIO_CONSOLE_PORT_READY, 1);
        fixture.control(2, VIRTIO_CONSOLE_PORT_OPEN, 1);
        int _ = fixture.messages().size();
        assertThat(receive(readOnly, "all")).isEqualTo(3);
        readOnly.endInput();
        dataPort.endInput();
        fixture.loop.run();
        assertThat(fixture.messages()).isEmpty();
        fixture.addBuffer(6, 64);
        fixture.driver.notifyQueue(6);
        fixture.loop.run();
        assertThat(fixture.received(6)).isEqualTo("all");
        assertThat(fixture.messages()).containsExactly(new Message(2, VIRTIO_CONSOLE_PORT_OPEN, 0, ""));
        fixture.driver.notifyQueue(6);
        fixture.loop.run();
        assertThat(fixture.messages()).isEmpty();
    }

    @Test
    void a_driver_without_multiport_has_the_first_port_only() {
        fixture.start(0);
        fixture.addBuffer(0, 8);
        assertThat(receive(consolePort, "in")).isEqualTo(2);
        fixture.send(1, "out");
        fixture.send(5, "not this");
        fixture.send(CONTROL_OUT, "nor this");
        fixture.loop.run();
        assertThat(console.text()).isEqualTo("out");
        assertThat(data.text()).isEmpty();
        assertThat(fixture.received(0)).isEqualTo("in");
        assertThat(fixture.driver.queue(CONTROL_OUT).pollUsed()).isEmpty();
    }

    @Test
    void messages_that_are_short_or_mean_nothing_are_ignored() {
        fixture.start(FEATURES);
        int _ = fixture.messages().size();
        fixture.send(CONTROL_OUT, "short");
        fixture.loop.run();
        assertThat(fixture.driver.queue(CONTROL_OUT).takeUsed().length()).isZero();
        for (int id : new int[] {3, -1, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
            fixture.control(id, VIRTIO_CONSOLE_PORT_READY, 1);
            fixture.control(id, VIRTIO_CONSOLE_PORT_OPEN, 1);
        }
        for (int event : new int[] {VIRTIO_CONSOLE_PORT_ADD, VIRTIO_CONSOLE_PORT_NAME, 8, 0xffff}) {
            fixture.control(1, event, 1);
        }
        assertThat(fixture.messages()).isEmpty();
        assertThat(fixture.faults).isEmpty();
    }

    @Test
    void a_driver_that_asks_again_and_again_makes_the_device_remember_no_more() {
        fixture.driver.start(FEATURES, 64);
        for (int i = 0; i < 1000; i++) {
            fixture.control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
            fixture.control(1, VIRTIO_CONSOLE_PORT_READY, 1);
        }
        for (int i = 0; i < 32; i++) {
            fixture.addBuffer(CONTROL_IN, 64);
        }
        fixture.driver.notifyQueue(CONTROL_IN);
        fixture.loop.run();
        assertThat(fixture.messages())
                .hasSizeLessThanOrEqualTo(6)
                .contains(new Message(1, VIRTIO_CONSOLE_PORT_NAME, 1, "data"));
    }

    @Test
    void a_buffer_too_small_for_a_message_breaks_the_device_until_a_reset() {
        fixture.driver.start(FEATURES, 64);
        fixture.addBuffer(CONTROL_IN, 7);
        fixture.send(CONTROL_OUT, "\0\0\0\0\0\0\1\0");
        fixture.loop.run();
        assertThat(fixture.faults).hasSize(1).first().asString().contains("7 bytes for a control message of 8");
        assertThat(fixture.driver.status() & VirtioConfigConstants.VIRTIO_CONFIG_S_NEEDS_RESET)
                .isNotZero();
        fixture.send(1, "not served");
        assertThat(receive(consolePort, "nor this")).isEqualTo(8);
        console.giveRoom(0);
        fixture.loop.run();
        assertThat(console.text()).isEmpty();
        fixture.start(FEATURES);
        fixture.send(1, "again");
        fixture.loop.run();
        assertThat(console.text()).isEqualTo("again");
    }

    @Test
    void a_name_is_neither_empty_nor_longer_than_a_message_can_carry() {
        for (String name : new String[] {"", "x".repeat(129), "a\0b", "ü".repeat(65)}) {
            assertThatThrownBy(() -> ConsolePort.readOnly(name)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @RepeatedTest(50)
    void random_rings_break_nothing_but_the_device() {
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        fixture.start(FEATURES);
        console.room = random.nextInt(1000);
        for (int step = 0; step < 200; step++) {
            int index = random.nextInt(8);
            if (fixture.driver.queue(index).freeDescriptors() < 4) {
                break;
            }
            Piece[] pieces = new Piece[1 + random.nextInt(3)];
            for (int i = 0; i < pieces.length; i++) {
                byte[] content = new byte[1 + random.nextInt(24)];
                random.nextBytes(content);
                if (random.nextBoolean()) {
                    content[0] = (byte) random.nextInt(3);
                }
                int length = random.nextInt(40) == 0 ? random.nextInt() : content.length;
                boolean writable = random.nextInt(10) == 0 ? random.nextBoolean() : index % 2 == 0;
                long address = random.nextInt(60) == 0 ? random.nextLong() : fixture.places.allocate(content);
                pieces[i] = new Piece(address, length, writable);
            }
            int _ = random.nextBoolean()
                    ? fixture.driver.queue(index).add(pieces)
                    : fixture.driver.queue(index).addIndirect(pieces);
            fixture.driver.notifyQueue(index);
            switch (random.nextInt(6)) {
                case 0 -> receive(consolePort, "input");
                case 1 -> receive(dataPort, "input");
                case 2 -> console.giveRoom(random.nextInt(100));
                case 3 -> fixture.device.setSize(random.nextInt(100), random.nextInt(100));
                default -> {}
            }
            fixture.loop.run();
        }
        fixture.start(FEATURES);
        console.room = 100;
        console.taken.reset();
        fixture.send(1, "well");
        fixture.loop.run();
        assertThat(console.text()).as("seed " + seed).isEqualTo("well");
    }
}
