package io.thimble.vmm.machine;

import io.thimble.memory.GuestMemory;
import io.thimble.vmm.MachineConfig;
import io.thimble.vmm.boot.BootLoader;
import io.thimble.vmm.boot.LoadedKernel;
import io.thimble.vmm.event.Threads;
import io.thimble.vmm.x86.BootState;
import io.thimble.vmm.x86.FirmwareTables;
import io.thimble.vmm.x86.Topology;
import io.thimble.vmm.x86.acpi.VirtioMmioDevice;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.FutureTask;

/**
 * Fills guest memory - firmware tables, kernel, initial RAM disk - on a thread of its own, while vCPUs and devices are made: of a
 * start's time each is about a half. Not thread-safe itself: one thread begins it and waits for it.
 */
final class KernelLoad {
    private final FutureTask<LoadedKernel> task;
    private final Thread thread;

    private KernelLoad(FutureTask<LoadedKernel> task, Thread thread) {
        this.task = task;
        this.thread = thread;
    }

    /** Starts the thread; after this, {@link #awaitEnd} must come before the memory is unmapped. */
    static KernelLoad begin(
            MachineConfig config, BootPlan plan, DevicePlan devices, GuestMemory memory, Topology topology) {
        List<VirtioMmioDevice> places = devices.places();
        FutureTask<LoadedKernel> task = new FutureTask<>(() -> load(config, plan, places, memory, topology));
        Thread thread = Thread.ofPlatform()
                .daemon(true)
                .name("thimble-" + config.name() + "-load")
                .start(task);
        return new KernelLoad(task, thread);
    }

    private static LoadedKernel load(
            MachineConfig config, BootPlan plan, List<VirtioMmioDevice> places, GuestMemory memory, Topology topology)
            throws IOException {
        long rsdp = config.kernel().isLinux() ? FirmwareTables.write(memory, topology, config.acpi(), places) : 0;
        LoadedKernel loaded = BootLoader.load(
                memory,
                new BootLoader.Request(plan.image(), plan.protocol(), plan.initrd(), plan.commandLine(), rsdp, true));
        BootState.writeTables(memory, loaded.mode());
        return loaded;
    }

    /** Waits until the thread has ended, however it did. */
    void awaitEnd() {
        Threads.joinUninterruptibly(thread);
    }

    /**
     * Returns what was loaded; after {@link #awaitEnd}.
     *
     * @throws IOException if a file cannot be read or does not fit
     */
    LoadedKernel result() throws IOException {
        try {
            return task.resultNow();
        } catch (IllegalStateException e) {
            switch (task.exceptionNow()) {
                case IOException io -> throw io;
                case RuntimeException runtime -> throw runtime;
                case Error error -> throw error;
                case Throwable other -> throw new IllegalStateException(other);
            }
        }
    }
}
