package io.thimble.virtio;

import io.thimble.memory.GuestMemory;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockMmioDriver;
import io.thimble.virtio.transport.MmioTransport;
import io.thimble.virtio.transport.TransportCore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** A device behind virtio-mmio, its loop turned by hand, and a driver for it. */
public final class DeviceBench implements AutoCloseable {
    private final MockMemory places;
    private final ManualLoop loop;
    private final AtomicInteger interrupts = new AtomicInteger();
    private final List<String> reports = new ArrayList<>();
    private final TransportCore core;
    private final MmioTransport transport;
    private final MockMmioDriver driver;

    /** With memory of its own, of {@code size} bytes. */
    public DeviceBench(VirtioDevice device, long size) {
        this(device, new MockMemory(size), new ManualLoop());
    }

    /** With memory and a loop that others use too. */
    public DeviceBench(VirtioDevice device, MockMemory places, ManualLoop loop) {
        this.places = places;
        this.loop = loop;
        core = new TransportCore(device, places.memory(), loop, interrupts::getAndIncrement, new Reports(), true);
        transport = new MmioTransport(core);
        driver = new MockMmioDriver(new Registers(), places);
    }

    private final class Reports implements DeviceListener {
        @Override
        public void needsReset(String device, String reason) {
            reports.add(device + ": " + reason);
        }

        @Override
        public void hostFailure(String device, String message) {
            reports.add(device + " failed: " + message);
        }
    }

    private final class Registers implements MockMmioDriver.Registers {
        @Override
        public long read(long offset, int size) {
            return transport.read(offset, size);
        }

        @Override
        public void write(long offset, int size, long value) {
            transport.write(offset, size, value);
        }
    }

    /** Returns guest memory. */
    public MockMemory places() {
        return places;
    }

    /** Finds a place for bytes; where no memory is left they overlap what was first. */
    public long place(byte[] bytes) {
        try {
            return places.allocate(bytes);
        } catch (IllegalStateException _) {
            places.memory().write(GuestMemory.PAGE_SIZE, bytes, 0, bytes.length);
            return GuestMemory.PAGE_SIZE;
        }
    }

    /** Returns the loop. */
    public ManualLoop loop() {
        return loop;
    }

    /** Returns what is behind the registers. */
    public TransportCore core() {
        return core;
    }

    /** Returns the registers. */
    public MmioTransport transport() {
        return transport;
    }

    /** Returns the driver. */
    public MockMmioDriver driver() {
        return driver;
    }

    /** Returns how many interrupts were raised. */
    public int interrupts() {
        return interrupts.get();
    }

    /** Returns what the device has reported. */
    public List<String> reports() {
        return reports;
    }

    /** Notifies a queue and turns the loop until nothing is ready. */
    public void serve(int queue) {
        driver.notifyQueue(queue);
        loop.run();
    }

    @Override
    public void close() {
        try {
            if (!core.close(Duration.ofSeconds(10))) {
                throw new AssertionError("I/O has not ended");
            }
        } finally {
            loop.close();
        }
    }
}
