package io.thimble.virtio.transport;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.thimble.linux.abi.VirtioConfigConstants;
import io.thimble.linux.abi.VirtioIdsConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.linux.abi.VirtioRingConstants;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockPackedQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.testing.MockSplitQueue;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The status machine and the registers, with a device that does what a test asks of it. */
@Timeout(60)
class MmioTransportTest {
    private static final long VERSION_1 = 1L << VirtioConfigConstants.VIRTIO_F_VERSION_1;
    private static final long RING_PACKED = 1L << VirtioConfigConstants.VIRTIO_F_RING_PACKED;
    private static final int NEEDS_RESET = VirtioConfigConstants.VIRTIO_CONFIG_S_NEEDS_RESET;
    private static final int DRIVER_OK = VirtioConfigConstants.VIRTIO_CONFIG_S_DRIVER_OK;
    private static final int FEATURES_OK = VirtioConfigConstants.VIRTIO_CONFIG_S_FEATURES_OK;

    private final EchoDevice device = new EchoDevice();
    private final DeviceBench bench = new DeviceBench(device, 1 << 20);
    private final MockMemory places = bench.places();
    private final ManualLoop loop = bench.loop();
    private final TransportCore core = bench.core();
    private final MmioTransport transport = bench.transport();
    private final MockMmioDriver driver = bench.driver();
    private final List<String> reports = bench.reports();

    @AfterEach
    void close() {
        bench.close();
    }

    private MockSplitQueue splitQueue() {
        return (MockSplitQueue) driver.queue(0);
    }

    private void startAndEcho(String text) {
        driver.start(1L << VirtioRingConstants.VIRTIO_RING_F_EVENT_IDX, 8);
        echo(driver, text);
    }

    private void echo(MockMmioDriver by, String text) {
        byte[] bytes = text.getBytes(java.nio.charset.StandardCharsets.US_ASCII);
        long answer = places.allocate(bytes.length, 1);
        by.queue(0).add(Piece.readable(places.allocate(bytes), bytes.length), Piece.writable(answer, bytes.length));
        by.notifyQueue(0);
        loop.run();
        assertThat(by.queue(0).takeUsed().length()).isEqualTo(bytes.length);
        assertThat(places.bytes(answer, bytes.length)).isEqualTo(bytes);
    }

    @Test
    void a_driver_finds_the_device_negotiates_and_is_served_with_an_interrupt() {
        assertThat(driver.read(VirtioMmioConstants.VIRTIO_MMIO_MAGIC_VALUE)).isEqualTo(0x74726976);
        assertThat(driver.read(VirtioMmioConstants.VIRTIO_MMIO_VERSION)).isEqualTo(2);
        assertThat(driver.read(VirtioMmioConstants.VIRTIO_MMIO_DEVICE_ID)).isEqualTo(VirtioIdsConstants.VIRTIO_ID_RNG);
        assertThat(driver.offeredFeatures())
                .isEqualTo(EchoDevice.FEATURE
                        | VERSION_1
                        | (1L << VirtioRingConstants.VIRTIO_RING_F_EVENT_IDX)
                        | (1L << VirtioRingConstants.VIRTIO_RING_F_INDIRECT_DESC)
                        | RING_PACKED);
        startAndEcho("hello");
        assertThat(bench.interrupts()).isEqualTo(1);
        assertThat(driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_VRING);
        assertThat(driver.takeInterrupts()).isZero();
        assertThat(reports).isEmpty();
    }

    @Test
    void features_that_are_not_offered_or_without_version_1_are_refused() {
        driver.reset();
        assertThat(driver.negotiate(VERSION_1 | (1L << 5))).isFalse();
        driver.reset();
        assertThat(driver.negotiate(EchoDevice.FEATURE)).isFalse();
        driver.reset();
        assertThat(driver.negotiate(VERSION_1 | EchoDevice.FEATURE)).isTrue();
        assertThat(driver.negotiate(0)).as("no change after FEATURES_OK").isTrue();
        driver.setUpQueue(0, 8);
        driver.setStatus(DRIVER_OK);
        loop.run();
        assertThat(device.activations).hasSize(1);
        assertThat(device.activations.getFirst().features()).isEqualTo(VERSION_1 | EchoDevice.FEATURE);
    }

    @Test
    void a_driver_that_skips_feature_negotiation_gets_needs_reset() {
        driver.reset();
        driver.setStatus(DRIVER_OK);
        assertThat(driver.status() & NEEDS_RESET).isNotZero();
        assertThat(reports).hasSize(1);
        assertThat(device.activations).isEmpty();
        startAndEcho("after a reset it works");
    }

    @Test
    void a_queue_that_was_not_enabled_or_is_wrong_gets_needs_reset_and_an_interrupt() {
        driver.reset();
        assertThat(driver.negotiate(VERSION_1)).isTrue();
        driver.setUpQueue(0, 7, 0x1000, 0x2000, 0x3000);
        driver.setStatus(DRIVER_OK);
        loop.run();
        assertThat(driver.status() & NEEDS_RESET).isNotZero();
        assertThat(driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG);
        assertThat(reports).hasSize(1);
        startAndEcho("after a reset it works");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void a_driver_that_breaks_the_ring_gets_needs_reset_and_can_start_again(int way) {
        driver.start(0, 8);
        switch (way) {
            case 0 -> splitQueue().makeAvailable(8);
            case 1 -> splitQueue().setAvailableIndex(9);
            default -> driver.queue(0).add(new Piece(-1, 1, true));
        }
        driver.notifyQueue(0);
        loop.run();
        assertThat(driver.status() & NEEDS_RESET).isNotZero();
        assertThat(driver.takeInterrupts()).isEqualTo(VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG);
        driver.notifyQueue(0);
        loop.run();
        assertThat(reports).as("told once").hasSize(1);
        startAndEcho("after a reset it works");
    }

    @Test
    void registers_take_whole_words_only_and_unknown_ones_do_nothing() {
        driver.reset();
        for (int size : new int[] {1, 2, 8}) {
            assertThat(transport.read(VirtioMmioConstants.VIRTIO_MMIO_MAGIC_VALUE, size))
                    .isZero();
            transport.write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, size, 0);
        }
        assertThat(transport.read(VirtioMmioConstants.VIRTIO_MMIO_MAGIC_VALUE + 2, 4))
                .isZero();
        assertThat(driver.status()).isEqualTo(3);
        for (int offset = 0; offset < 0x100; offset += 4) {
            if (offset != VirtioMmioConstants.VIRTIO_MMIO_STATUS) {
                driver.write(offset, -1);
            }
        }
        assertThat(driver.status()).isEqualTo(3);
        assertThat(driver.read(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_NUM_MAX))
                .as("queue -1")
                .isZero();
        assertThat(driver.read(VirtioMmioConstants.VIRTIO_MMIO_SHM_LEN_LOW)).isEqualTo(-1);
        startAndEcho("still well");
    }

    @Test
    void queues_do_not_change_once_the_driver_is_ready() {
        startAndEcho("one");
        driver.setUpQueue(0, 4, 0, 0, 0);
        echo(driver, "two");
    }

    @Test
    void only_a_reset_clears_status_bits_and_needs_reset_is_the_devices() {
        driver.reset();
        driver.write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, 1);
        assertThat(driver.status()).isEqualTo(3);
        driver.setStatus(NEEDS_RESET);
        assertThat(driver.status()).isEqualTo(3);
        driver.write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, 0);
        assertThat(driver.status()).isZero();
        driver.setStatus(FEATURES_OK);
        assertThat(driver.status()).as("no features").isZero();
    }

    @Test
    void the_configuration_space_is_read_in_any_size_with_a_generation() {
        int before = driver.read(VirtioMmioConstants.VIRTIO_MMIO_CONFIG_GENERATION);
        device.config().setLong(0, 0x1122334455667788L);
        assertThat(driver.read(VirtioMmioConstants.VIRTIO_MMIO_CONFIG_GENERATION))
                .isNotEqualTo(before);
        assertThat(driver.config(0, 4)).isEqualTo(0x55667788);
        assertThat(driver.config(4, 2)).isEqualTo(0x3344);
        assertThat(driver.config(7, 1)).isEqualTo(0x11);
        assertThat(transport.read(VirtioMmioConstants.VIRTIO_MMIO_CONFIG, 8)).isEqualTo(0x1122334455667788L);
        assertThat(driver.config(6, 4)).as("behind the end").isEqualTo(0x1122);
        assertThat(driver.config(0xefc, 4)).isZero();
        driver.writeConfig(2, 2, 0xabcd);
        assertThat(device.written).containsExactly("2/2=abcd");
    }

    @Test
    void a_reset_returns_only_when_the_device_has_stopped_and_a_new_driver_can_follow() throws Exception {
        startAndEcho("before");
        device.holdResets = true;
        CountDownLatch returned = new CountDownLatch(1);
        Thread vcpu = Thread.ofPlatform().start(() -> {
            transport.write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, 4, 0);
            returned.countDown();
        });
        loop.runUntil(() -> device.heldReset != null);
        assertThat(returned.await(20, TimeUnit.MILLISECONDS)).isFalse();
        device.activations.getLast().interrupt().signalQueue(0);
        assertThat(driver.read(VirtioMmioConstants.VIRTIO_MMIO_INTERRUPT_STATUS) & 1)
                .as("no interrupt of a session that is over; the old one was not acknowledged")
                .isEqualTo(1);
        int raised = bench.interrupts();
        device.activations.getLast().interrupt().signalConfig();
        assertThat(bench.interrupts()).isEqualTo(raised);
        Objects.requireNonNull(device.heldReset).run();
        assertThat(returned.await(10, TimeUnit.SECONDS)).isTrue();
        vcpu.join();
        assertThat(driver.status()).isZero();
        assertThat(driver.read(VirtioMmioConstants.VIRTIO_MMIO_INTERRUPT_STATUS))
                .isZero();
        device.holdResets = false;
        startAndEcho("after");
    }

    @Test
    void a_vm_that_ends_lets_a_vcpu_go_that_waits_for_a_device_that_hangs() throws Exception {
        startAndEcho("before");
        device.holdResets = true;
        Thread vcpu = Thread.ofPlatform().start(() -> transport.write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, 4, 0));
        loop.runUntil(() -> device.heldReset != null);
        core.abandonWaits();
        vcpu.join(10_000);
        assertThat(vcpu.isAlive()).isFalse();
        transport.write(VirtioMmioConstants.VIRTIO_MMIO_STATUS, 4, 0);
    }

    @Test
    void a_paused_device_leaves_buffers_alone_and_finds_them_when_it_goes_on() {
        startAndEcho("before");
        List<String> order = new ArrayList<>();
        core.pause(() -> order.add("quiet"));
        assertThat(order).containsExactly("quiet");
        driver.queue(0).add(Piece.readable(places.allocate(new byte[4]), 4), Piece.writable(places.allocate(4, 1), 4));
        driver.notifyQueue(0);
        loop.run();
        assertThat(driver.queue(0).pollUsed()).isEmpty();
        core.resume();
        loop.run();
        assertThat(driver.queue(0).takeUsed().length()).isEqualTo(4);
    }

    @Test
    void a_busy_queue_lets_others_have_their_turn() {
        driver.start(0, 8);
        loop.run();
        device.mostAtOnce = 1;
        List<String> order = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            driver.queue(0).add(Piece.writable(places.allocate(1, 1), 1));
        }
        driver.notifyQueue(0);
        loop.post(() -> order.add("another task, with " + splitQueue().usedIndex() + " served"));
        loop.run();
        assertThat(order).containsExactly("another task, with 1 served");
        assertThat(splitQueue().usedIndex()).isEqualTo(3);
    }

    @Test
    void a_busy_queue_has_one_turn_a_round_however_often_it_was_notified() {
        driver.start(0, 16);
        loop.run();
        device.mostAtOnce = 1;
        for (int i = 0; i < 16; i++) {
            driver.queue(0).add(Piece.writable(places.allocate(1, 1), 1));
        }
        for (int i = 0; i < 3; i++) {
            driver.notifyQueue(0);
            loop.turn();
        }
        int before = splitQueue().usedIndex();
        loop.turn();
        assertThat(splitQueue().usedIndex()).isEqualTo(before + 1);
        loop.run();
        assertThat(splitQueue().usedIndex()).isEqualTo(16);
    }

    @Test
    void packed_queues_are_used_where_the_driver_takes_them_and_offered_only_if_they_may_be() {
        driver.start(RING_PACKED, 7);
        for (int i = 0; i < 20; i++) {
            echo(driver, "of no power of 2 in size " + i);
        }
        assertThat(driver.queue(0)).isInstanceOf(MockPackedQueue.class);
        startAndEcho("the next driver does not");
        assertThat(driver.queue(0)).isInstanceOf(MockSplitQueue.class);
        assertThat(reports).isEmpty();

        TransportCore without =
                new TransportCore(new EchoDevice(), places.memory(), loop, () -> {}, DeviceListener.none(), false);
        assertThat(without.offeredFeatures() & RING_PACKED).isZero();
        without.setDriverFeatures(1, (int) ((VERSION_1 | RING_PACKED) >>> 32));
        without.setStatus(FEATURES_OK);
        assertThat(without.status() & FEATURES_OK).isZero();
        assertThat(without.close(Duration.ZERO)).isTrue();
    }

    @Test
    void a_queue_larger_than_the_device_says_is_refused() {
        driver.reset();
        assertThat(driver.negotiate(VERSION_1)).isTrue();
        driver.setUpQueue(0, 32);
        driver.setStatus(DRIVER_OK);
        loop.run();
        assertThat(driver.status() & NEEDS_RESET).isNotZero();
        assertThat(reports).hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void another_transport_goes_on_from_a_state(boolean packed) {
        driver.start(packed ? RING_PACKED : 0, 8);
        echo(driver, "before");
        driver.write(VirtioMmioConstants.VIRTIO_MMIO_QUEUE_SEL, 5);
        driver.queue(0).add(Piece.readable(places.allocate(new byte[4]), 4), Piece.writable(places.allocate(4, 1), 4));
        core.pause(() -> {});
        MmioState state = transport.state();
        EchoDevice second = new EchoDevice();
        DeviceBench secondBench = new DeviceBench(second, places, loop);
        MmioTransport restored = secondBench.transport();
        restored.restore(state);
        assertThat(restored.state()).isEqualTo(state);
        loop.run();
        assertThat(driver.queue(0).takeUsed().length()).isEqualTo(4);
        assertThat(secondBench.driver().takeInterrupts()).isEqualTo(1);
        assertThat(secondBench.core().close(Duration.ZERO)).isTrue();

        TransportState bad = new TransportState(0, 0, 0, List.of(), new EchoDevice.State(0));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> restored.restore(new MmioState(0, 0, 0, bad)))
                .withMessageContaining("queues");
    }
}
