package io.thimble.virtio.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.DeviceBench;
import io.thimble.virtio.ManualLoop;
import io.thimble.virtio.rng.RngDevice;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.testing.MockQueue;

/**
 * Register accesses of any kind, some of them a driver's proper steps, with any content of the rings: nothing is thrown out of
 * the registers or the loop, and after all of it a reset brings the device back to work.
 */
class MmioTransportFuzzTest {
    private static final int MEMORY = 256 << 10;
    private static final GuestMemory REUSED = new MockMemory(MEMORY).memory();

    @FuzzTest(maxDuration = "1m")
    void survives_any_register_access(FuzzedDataProvider data) {
        REUSED.fill(0, MEMORY, (byte) 0);
        try (DeviceBench bench = new DeviceBench(new RngDevice(), new MockMemory(REUSED), new ManualLoop())) {
            MockMmioDriver driver = bench.driver();
            while (data.remainingBytes() > 0) {
                step(data, bench, driver);
            }
            driver.start(0, 4);
            long at = bench.places().allocate(64, 1);
            driver.queue(0).add(MockQueue.Piece.writable(at, 64));
            bench.serve(0);
            if (driver.queue(0).takeUsed().length() != 64) {
                throw new AssertionError("the device does not work after a reset");
            }
        }
    }

    private static void step(FuzzedDataProvider data, DeviceBench bench, MockMmioDriver driver) {
        switch (data.consumeInt(0, 7)) {
            case 0 ->
                bench.transport().write(data.consumeInt(0, 0xfff), 1 << data.consumeInt(0, 3), data.consumeLong());
            case 1 -> {
                long _ = bench.transport().read(data.consumeInt(0, 0xfff), 1 << data.consumeInt(0, 3));
            }
            case 2 -> driver.write(4 * data.consumeInt(0, 0x3f), data.consumeInt());
            case 3 -> driver.setStatus(data.consumeByte());
            case 4 -> {
                driver.reset();
                boolean _ = driver.negotiate((1L << 32) | data.consumeInt());
            }
            case 5 ->
                driver.setUpQueue(
                        data.consumeInt(0, 1),
                        1 << data.consumeInt(0, 7),
                        4096L * data.consumeInt(0, 70),
                        4096L * data.consumeInt(0, 70),
                        4096L * data.consumeInt(0, 70));
            case 6 -> {
                byte[] bytes = data.consumeBytes(data.consumeInt(0, 40));
                bench.places().memory().write(16L * data.consumeInt(0, 16_000), bytes, 0, bytes.length);
            }
            default -> {
                driver.notifyQueue(data.consumeInt(0, 1));
                bench.loop().run();
            }
        }
    }
}
