package io.thimble.virtio.rng;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue.Piece;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RngDeviceTest {
    private final DeviceBench bench = new DeviceBench(new RngDevice(), 1 << 20);
    private final MockMmioDriver driver = bench.driver();
    private final MockMemory places = bench.places();

    @AfterEach
    void close() {
        bench.close();
    }

    @Test
    void fills_the_writable_pieces_and_nothing_else() {
        driver.start(0, 8);
        long at = places.allocate(4096, 4096);
        driver.queue(0).add(Piece.readable(at, 16), Piece.writable(at + 100, 64), Piece.writable(at + 1000, 1000));
        bench.serve(0);
        assertThat(driver.queue(0).takeUsed().length()).isEqualTo(1064);
        byte[] page = places.bytes(at, 4096);
        for (int i = 0; i < 4096; i++) {
            if (i < 100 || (i >= 164 && i < 1000) || i >= 2000) {
                assertThat(page[i]).as("byte %d", i).isZero();
            }
        }
        assertThat(zeros(page, 100, 164)).isLessThan(10);
        assertThat(zeros(page, 1000, 2000)).isLessThan(50);
        assertThat(driver.takeInterrupts()).isEqualTo(1);
    }

    private static int zeros(byte[] bytes, int from, int to) {
        int zeros = 0;
        for (int i = from; i < to; i++) {
            zeros += bytes[i] == 0 ? 1 : 0;
        }
        return zeros;
    }

    @Test
    void gives_a_bounded_part_of_a_huge_buffer_and_nothing_for_one_without_room() {
        driver.start(0, 8);
        driver.queue(0).add(Piece.writable(0x10000, 0x80000));
        driver.queue(0).add(Piece.readable(0x10000, 16));
        bench.serve(0);
        assertThat(driver.queue(0).takeUsed().length()).isEqualTo(4096);
        assertThat(driver.queue(0).takeUsed().length()).isZero();
    }
}
