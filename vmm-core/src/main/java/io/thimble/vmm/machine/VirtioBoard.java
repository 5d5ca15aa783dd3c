package io.thimble.vmm.machine;

import io.thimble.kvm.KvmVm;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.linux.abi.VirtioMmioConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.device.DeviceListener;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.virtio.transport.MmioTransport;
import io.thimble.virtio.transport.TransportCore;
import io.thimble.vmm.bus.Bus;
import io.thimble.vmm.bus.BusDevice;
import io.thimble.vmm.event.EventLoop;
import io.thimble.vmm.x86.acpi.VirtioMmioDevice;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/**
 * The virtio devices behind their registers, wired to KVM: an ioeventfd for each queue's notification and for the
 * acknowledgement of an interrupt, and a line for each device's interrupt, so that none of them takes a turn through a
 * vCPU's thread. What is left of an interrupt there is one read of its status.
 *
 * <p>Threads: {@link #pause}, {@link #resume} and {@link #abandonWaits} from any; {@link #close} as the machine's life says.
 */
final class VirtioBoard {
    private final EventLoop loop;
    private final boolean packed;
    private final List<TransportCore> cores = new ArrayList<>();
    private final List<GsiLine> lines = new ArrayList<>();
    private final Bus mmio;
    private volatile boolean abandoned;
    private volatile CountDownLatch pausing = new CountDownLatch(0);

    /**
     * Takes over the devices; if that fails, they are still the caller's to close.
     *
     * @param places of the devices, in their order
     * @param loop on which all of them run
     * @param packed whether drivers may choose packed virtqueues
     */
    VirtioBoard(
            KvmVm vm,
            List<VirtioDevice> devices,
            List<VirtioMmioDevice> places,
            GuestMemory memory,
            EventLoop loop,
            DeviceListener listener,
            boolean packed) {
        this.loop = loop;
        this.packed = packed;
        Bus.Builder bus = Bus.mmio();
        try {
            for (int i = 0; i < devices.size(); i++) {
                MmioTransport transport = connect(vm, devices.get(i), places.get(i), memory, listener);
                bus.add(
                        devices.get(i).name(),
                        places.get(i).address(),
                        places.get(i).size(),
                        new Window(transport));
            }
        } catch (RuntimeException | Error e) {
            boolean _ = close(Duration.ZERO);
            throw e;
        }
        mmio = bus.build();
    }

    private MmioTransport connect(
            KvmVm vm, VirtioDevice device, VirtioMmioDevice place, GuestMemory memory, DeviceListener listener) {
        GsiLine line = new GsiLine(vm, place.gsi());
        lines.add(line);
        TransportCore core = new TransportCore(device, memory, loop, line::pulse, listener, packed);
        cores.add(core);
        for (int queue = 0; queue < core.queueCount(); queue++) {
            vm.ioeventfd(
                    core.notifier(queue),
                    place.address() + MmioTransport.QUEUE_NOTIFY,
                    Integer.BYTES,
                    queue,
                    KvmConstants.KVM_IOEVENTFD_FLAG_DATAMATCH);
        }
        vm.ioeventfd(
                core.acknowledgement(),
                place.address() + MmioTransport.INTERRUPT_ACK,
                Integer.BYTES,
                VirtioMmioConstants.VIRTIO_MMIO_INT_VRING,
                KvmConstants.KVM_IOEVENTFD_FLAG_DATAMATCH);
        return new MmioTransport(core);
    }

    /** A device's registers on the bus. */
    private record Window(MmioTransport transport) implements BusDevice {
        @Override
        public long read(long offset, int size) {
            return transport.read(offset, size);
        }

        @Override
        public void write(long offset, int size, long value) {
            transport.write(offset, size, value);
        }
    }

    /** Returns the bus on which the devices' registers are. */
    Bus mmio() {
        return mmio;
    }

    /** Waits until no device touches guest memory any more, or until {@link #abandonWaits}; the vCPUs are parked. */
    void pause() {
        CountDownLatch quiet = new CountDownLatch(cores.size());
        pausing = quiet;
        if (abandoned) {
            return;
        }
        boolean _ = loop.post(() -> cores.forEach(core -> core.pause(quiet::countDown)));
        boolean interrupted = false;
        while (true) {
            try {
                quiet.await();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Lets the devices go on, before the vCPUs do. */
    void resume() {
        boolean _ = loop.post(() -> cores.forEach(TransportCore::resume));
    }

    /** The VM is to end: nobody waits for a device any more. */
    void abandonWaits() {
        abandoned = true;
        cores.forEach(TransportCore::abandonWaits);
        CountDownLatch quiet = pausing;
        while (quiet.getCount() > 0) {
            quiet.countDown();
        }
    }

    /**
     * Frees the devices; the vCPUs have ended. On the loop's thread, or before it has started.
     *
     * @param deadline how long I/O may take to end, for all devices
     * @return whether all I/O has ended; if not, guest memory must stay mapped
     */
    boolean close(Duration deadline) {
        long end = System.nanoTime() + deadline.toNanos();
        boolean ended = true;
        for (TransportCore core : cores) {
            ended &= core.close(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
        }
        lines.forEach(GsiLine::disconnect);
        return ended;
    }
}
