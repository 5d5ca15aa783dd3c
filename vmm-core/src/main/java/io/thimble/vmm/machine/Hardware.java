package io.thimble.vmm.machine;

import io.thimble.kvm.Kvm;
import io.thimble.kvm.KvmException;
import io.thimble.kvm.KvmVcpu;
import io.thimble.kvm.KvmVm;
import io.thimble.kvm.abi.KvmCaps;
import io.thimble.kvm.abi.KvmConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.block.BlockHandle;
import io.thimble.virtio.vsock.VsockDevice;
import io.thimble.vmm.GuestBalloon;
import io.thimble.vmm.GuestNetwork;
import io.thimble.vmm.MachineConfig;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.VmStatistics;
import io.thimble.vmm.agent.AgentListener;
import io.thimble.vmm.boot.BootLayout;
import io.thimble.vmm.boot.KernelImage;
import io.thimble.vmm.bus.Bus;
import io.thimble.vmm.event.EventLoop;
import io.thimble.vmm.legacy.MachineEvents;
import io.thimble.vmm.vcpu.Vcpu;
import io.thimble.vmm.vcpu.VcpuEvents;
import io.thimble.vmm.x86.BootState;
import io.thimble.vmm.x86.CpuidTable;
import io.thimble.vmm.x86.Topology;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a running VM holds of the host: memory, the KVM objects, the devices and the vCPUs. Assembled by {@link #build},
 * given back by {@link #close}, also when building failed half-way.
 *
 * <p>Not thread-safe: the machine's life orders the calls.
 */
final class Hardware {
    private static final Duration DISCARD_LIMIT = Duration.ofSeconds(2);

    private @Nullable GuestRam ram;
    private @Nullable Kvm kvm;
    private @Nullable KvmVm vm;
    private @Nullable Consoles consoles;
    private @Nullable DevicePlan devicePlan;
    private @Nullable VirtioBoard devices;
    private List<GuestNetwork> networks = List.of();
    private @Nullable GuestBalloon balloon;
    private @Nullable Board board;
    private final DeviceReports reports;
    private @Nullable KernelImage kernel;
    private final List<KvmVcpu> kvmVcpus = new ArrayList<>();
    private final List<Vcpu> vcpus = new ArrayList<>();

    /** Everything that devices and vCPUs report to. */
    interface Events extends MachineEvents, VcpuEvents, AgentListener {
        @Override
        void powerOff();

        @Override
        void reset(String source);
    }

    private Hardware(String name) {
        reports = new DeviceReports(name);
    }

    /**
     * Builds the VM up to the point where its vCPUs can start.
     *
     * @param loop on which the devices are to run
     * @throws MicroVmException if something is missing or wrong; then nothing is held
     */
    static Hardware build(MachineConfig config, EventLoop loop, Events events, TimelineRecorder timeline) {
        Hardware hardware = new Hardware(config.name());
        Consoles consoles = new Consoles(config);
        hardware.consoles = consoles;
        DevicePlan devicePlan = hardware.openDevices(config, consoles, loop);
        try (BootPlan plan = BootPlan.open(config, devicePlan)) {
            String packing = plan.image().packing();
            timeline.mark(
                    packing.isEmpty() ? "boot files opened" : "boot files opened, kernel unpacked (" + packing + ")");
            hardware.kernel = plan.image();
            hardware.assemble(config, plan, devicePlan, consoles, loop, events, timeline);
            return hardware;
        } catch (KvmException e) {
            hardware.discard();
            throw new MicroVmException(Problem.KVM, Messages.of(e), e);
        } catch (IOException e) {
            hardware.discard();
            throw new MicroVmException(Problem.BOOT_FILES, Messages.of(e), e);
        } catch (RuntimeException | Error e) {
            hardware.discard();
            throw e;
        }
    }

    private DevicePlan openDevices(MachineConfig config, Consoles newConsoles, EventLoop loop) {
        try {
            newConsoles.addPorts(config.devices().ports());
            DevicePlan plan = DevicePlan.open(config, newConsoles, loop, reports);
            devicePlan = plan;
            return plan;
        } catch (RuntimeException | Error e) {
            discard();
            throw e;
        }
    }

    private void assemble(
            MachineConfig config,
            BootPlan plan,
            DevicePlan devicePlan,
            Consoles newConsoles,
            EventLoop loop,
            Events events,
            TimelineRecorder timeline)
            throws IOException {
        Kvm openKvm = Kvm.open();
        kvm = openKvm;
        checkVcpus(config, openKvm);
        KvmVm newVm = openKvm.createVm();
        vm = newVm;
        timeline.mark("VM created");

        GuestRam newRam = new GuestRam(config.memory(), config.hugePages(), config.prefault());
        ram = newRam;
        GuestMemory memory = newRam.memory();
        newRam.addTo(newVm);
        newVm.setTssAddr(BootLayout.TSS_ADDRESS);
        newVm.setIdentityMapAddr(BootLayout.IDENTITY_MAP_ADDRESS);
        newVm.createIrqchip();
        newVm.createPit2(KvmConstants.KVM_PIT_SPEAKER_DUMMY);
        timeline.mark("memory mapped");

        Topology topology = new Topology(config.vcpus());
        KernelLoad load = KernelLoad.begin(config, plan, devicePlan, memory, topology);
        try {
            createVcpus(openKvm, newVm, topology);
            VirtioBoard newDevices = new VirtioBoard(
                    newVm,
                    devicePlan.devices(),
                    devicePlan.places(),
                    memory,
                    loop,
                    reports,
                    config.devices().packedRings());
            devices = newDevices;
            balloon = devicePlan
                    .balloon()
                    .map(device -> new BalloonHandle(device, loop, config.memory()))
                    .orElse(null);
            networks = devicePlan.networks().stream()
                    .map(card -> NetworkCards.handle(card, loop))
                    .toList();
            createBoard(config, newVm, newDevices.mmio(), newConsoles, events);
        } finally {
            load.awaitEnd(); // whatever happened here, nobody may write to memory that is unmapped next
        }
        BootState.initBootCpu(kvmVcpus.getFirst(), load.result());
        timeline.mark("kernel loaded, vCPUs created");
    }

    private void createVcpus(Kvm openKvm, KvmVm newVm, Topology topology) {
        CpuidTable cpuid = new CpuidTable(
                openKvm.supportedCpuid(), topology, openKvm.checkExtension(KvmCaps.KVM_CAP_TSC_DEADLINE_TIMER) > 0);
        for (int id = 0; id < topology.vcpus(); id++) {
            KvmVcpu vcpu = newVm.createVcpu(id);
            kvmVcpus.add(vcpu);
            vcpu.setCpuid2(cpuid.forVcpu(id));
            BootState.initVcpu(vcpu);
        }
    }

    private void createBoard(MachineConfig config, KvmVm newVm, Bus mmio, Consoles newConsoles, Events events) {
        long below4G = Math.min(config.memory(), BootLayout.PCI_HOLE_ADDRESS);
        Board newBoard =
                new Board(newVm, config, below4G, config.memory() - below4G, mmio, newConsoles, events, events);
        board = newBoard;
        for (KvmVcpu vcpu : kvmVcpus) {
            String thread = "thimble-" + config.name() + "-vcpu" + vcpu.id();
            vcpus.add(new Vcpu(vcpu, thread, newBoard.pio(), newBoard.mmio(), events));
        }
    }

    private static void checkVcpus(MachineConfig config, Kvm kvm) {
        int most = kvm.maxVcpus();
        if (config.vcpus() > most) {
            throw new MicroVmException(
                    Problem.VCPUS, config.vcpus() + " vCPUs: this host's KVM allows " + most + " a VM");
        }
    }

    Board board() {
        if (board == null) {
            throw new IllegalStateException("not assembled");
        }
        return board;
    }

    VirtioBoard devices() {
        if (devices == null) {
            throw new IllegalStateException("not assembled");
        }
        return devices;
    }

    /** Returns the socket device, if there is one. */
    Optional<VsockDevice> vsock() {
        DevicePlan plan = devicePlan;
        return plan == null ? Optional.empty() : plan.vsock();
    }

    Optional<GuestBalloon> balloon() {
        return Optional.ofNullable(balloon);
    }

    List<GuestNetwork> networks() {
        return networks;
    }

    List<BlockHandle> disks() {
        return devicePlan == null ? List.of() : devicePlan.disks();
    }

    DeviceReports reports() {
        return reports;
    }

    /** Returns what is started; closed, it still describes itself. */
    KernelImage kernel() {
        if (kernel == null) {
            throw new IllegalStateException("not assembled");
        }
        return kernel;
    }

    List<Vcpu> vcpus() {
        return vcpus;
    }

    /** Lets everybody go who waits for a device: the VM is to end. Any thread. */
    void abandonWaits() {
        VirtioBoard running = devices;
        if (running != null) {
            running.abandonWaits();
        }
    }

    /** Returns what the vCPUs and devices have done so far. */
    VmStatistics statistics() {
        Map<String, Long> exits = new TreeMap<>();
        long interrupted = 0;
        List<Duration> inKvmRun = new ArrayList<>();
        for (Vcpu vcpu : vcpus) {
            vcpu.counters().addTo(exits);
            interrupted += vcpu.counters().interrupted();
            inKvmRun.add(Duration.ofNanos(vcpu.counters().inKvmRun()));
        }
        Board legacy = board();
        return new VmStatistics(
                exits,
                interrupted,
                inKvmRun,
                legacy.pio().unclaimedReads() + legacy.pio().unclaimedWrites(),
                legacy.mmio().unclaimedReads() + legacy.mmio().unclaimedWrites(),
                legacy.consoleDropped(),
                reports.driverFaults(),
                reports.hostFailures());
    }

    /**
     * Gives everything back: ends the vCPU threads, then the devices and their threads, frees the VM, and last unmaps its
     * memory; if I/O does not end, the memory stays mapped, and the log says so.
     *
     * @param deadline how long I/O, and then the consoles' readers, may take for what is under way
     */
    void close(Duration deadline) {
        abandonWaits();
        vcpus.forEach(Vcpu::requestEnd);
        vcpus.forEach(Vcpu::awaitEnd);
        if (board != null) {
            board.close();
        }
        long end = System.nanoTime() + deadline.toNanos();
        boolean ioEnded = closeDevices(deadline);
        if (consoles != null) {
            consoles.close(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
        }
        kvmVcpus.forEach(KvmVcpu::close);
        if (vm != null) {
            vm.close();
        }
        if (kvm != null) {
            kvm.close();
        }
        if (ram != null && ioEnded) {
            ram.close();
        } else if (ram != null) {
            reports.hostFailure("memory", "I/O into guest memory does not end: the memory stays mapped");
        }
    }

    /** Gives back what a VM that has not run holds: nothing is under way, but its consoles' threads need a moment to end. */
    void discard() {
        close(DISCARD_LIMIT);
    }

    private boolean closeDevices(Duration deadline) {
        if (devices != null) {
            return devices.close(deadline);
        }
        if (devicePlan != null) {
            devicePlan.close();
        }
        return true;
    }
}
