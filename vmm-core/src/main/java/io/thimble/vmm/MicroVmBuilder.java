package io.thimble.vmm;

import io.thimble.virtio.console.ConsoleDevice;
import io.thimble.virtio.console.ConsolePort;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.guest.CommandStreams;
import io.thimble.vmm.legacy.BufferedSerialOutput;
import io.thimble.vmm.x86.Topology;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Describes a VM. Wrong values are refused by the method that takes them, or by {@link #build}, with a
 * {@link MicroVmException}. Not thread-safe.
 */
public final class MicroVmBuilder {
    /** The least memory a guest can have: 16 MiB. */
    public static final long MIN_MEMORY = 16L << 20;

    /** The most memory a guest can have: 1 TiB. */
    public static final long MAX_MEMORY = 1L << 40;

    private static final long MEMORY_UNIT = 1L << 20;
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,63}");
    private static final AtomicInteger NEXT_NAME = new AtomicInteger(1);

    /** The first address that is not taken (linux/vm_sockets.h). */
    private static final long FIRST_CID = 3;

    private static final long LAST_CID = 0xffff_fffeL;
    private static final AtomicLong NEXT_CID = new AtomicLong();

    private @Nullable String name;
    private int vcpus = 1;
    private long memory = 256L << 20;
    private boolean hugePages = true;
    private boolean prefault;
    private GuestKernel kernel = GuestKernel.bundled();
    private @Nullable Path initrd;
    private boolean withInitrd = true;
    private String append = "";
    private boolean acpi = true;
    private boolean debugExit;
    private List<String> command = List.of();
    private boolean idle;
    private final Map<String, String> environment = new LinkedHashMap<>();
    private @Nullable String hostname;
    private @Nullable String directory;
    private int rows;
    private int columns;
    private @Nullable OutputStream consoleOutput;
    private @Nullable InputStream consoleInput;
    private ConsoleKind consoleKind = ConsoleKind.SERIAL;
    private @Nullable ConsoleMode consoleMode;
    private @Nullable InputStream stdin;
    private @Nullable OutputStream stdout;
    private @Nullable OutputStream stderr;
    private SlowReaderPolicy slowReader = SlowReaderPolicy.HOLD_BACK;
    private int consoleCapacity = BufferedSerialOutput.DEFAULT_CAPACITY;
    private boolean rng = true;
    private final List<Disk> disks = new ArrayList<>();
    private boolean vsock = true;
    private long guestCid;
    private final List<Network> networks = new ArrayList<>();
    private @Nullable Balloon balloon;
    private boolean packedRings;
    private @Nullable Path vsockSocket;
    private final List<MachineConfig.Port> ports = new ArrayList<>();
    private final List<VmListener> listeners = new ArrayList<>();

    MicroVmBuilder() {}

    private static MicroVmException wrong(Problem problem, String message) {
        return new MicroVmException(problem, message);
    }

    /** Names the VM: 1 to 64 letters, digits, dots, dashes and underscores. By default a number. */
    public MicroVmBuilder name(String value) {
        if (!NAME.matcher(value).matches()) {
            throw wrong(
                    Problem.CONFIGURATION,
                    "name \"" + value.replaceAll("\\p{Cntrl}", "?")
                            + "\": use 1 to 64 letters, digits, dots, dashes and underscores");
        }
        name = value;
        return this;
    }

    /** Sets the number of vCPUs, 1..254; by default 1. */
    public MicroVmBuilder vcpus(int value) {
        if (value < 1 || value > Topology.MAX_VCPUS) {
            throw wrong(
                    Problem.VCPUS,
                    value + " vCPUs: a VM has 1 to " + Topology.MAX_VCPUS
                            + " (its interrupt controllers number CPUs by 8 bits, and two numbers are taken)");
        }
        vcpus = value;
        return this;
    }

    /** Sets the guest's memory in bytes: a multiple of 1 MiB from 16 MiB to 1 TiB; by default 256 MiB. */
    public MicroVmBuilder memory(long bytes) {
        if (bytes < MIN_MEMORY || bytes > MAX_MEMORY || bytes % MEMORY_UNIT != 0) {
            throw wrong(Problem.MEMORY, "memory of " + bytes + " bytes: use a multiple of 1 MiB from 16 MiB to 1 TiB");
        }
        memory = bytes;
        return this;
    }

    /** Sets whether guest memory is advised to be huge pages (madvise(2)), which makes it faster; by default true. */
    public MicroVmBuilder hugePages(boolean value) {
        hugePages = value;
        return this;
    }

    /** Sets whether all guest memory is taken from the host before the guest starts; by default false. */
    public MicroVmBuilder prefault(boolean value) {
        prefault = value;
        return this;
    }

    /** Sets whether the VM has an entropy device (virtio-rng), which gives random bytes of the host's; by default true. */
    public MicroVmBuilder rng(boolean value) {
        rng = value;
        return this;
    }

    /** Sets whether the VM has a socket device ({@link MicroVm#vsock}); by default true. The guest agent needs it. */
    public MicroVmBuilder vsock(boolean value) {
        vsock = value;
        return this;
    }

    /** Sets the guest's vsock address, 3..4294967294; by default one that no other VM of this process has. */
    public MicroVmBuilder vsockCid(long value) {
        if (value < FIRST_CID || value > LAST_CID) {
            throw wrong(Problem.CONFIGURATION, "vsock CID " + value + ": use 3 to 4294967294");
        }
        guestCid = value;
        return this;
    }

    /**
     * Opens vsock to other programs of the host's: a Unix socket at {@code path}, made with mode 0600 and removed at the end.
     * Who connects writes {@code CONNECT port} and a line feed and reads {@code OK hostport}; when the guest connects to the
     * host's port N, a connection to {@code path_N} is made. A {@link Vsock#listen listener} comes before that.
     */
    public MicroVmBuilder vsockSocket(Path path) {
        vsockSocket = path;
        return this;
    }

    private Optional<MachineConfig.VsockConfig> vsockConfig() {
        if (!vsock) {
            if (vsockSocket != null) {
                throw wrong(Problem.CONFIGURATION, "vsock socket " + vsockSocket + ", but no vsock: drop either");
            }
            return Optional.empty();
        }
        long cid = guestCid;
        if (cid == 0) {
            cid = FIRST_CID + Math.floorMod(NEXT_CID.getAndIncrement(), LAST_CID - FIRST_CID);
        }
        return Optional.of(new MachineConfig.VsockConfig(cid, Optional.ofNullable(vsockSocket)));
    }

    /** Adds a balloon, by which the guest gives memory back to the host. */
    public MicroVmBuilder balloon(Balloon value) {
        balloon = value;
        return this;
    }

    /**
     * Sets whether the drivers of virtio devices may use packed virtqueues (virtio 1.2, section 2.8; {@code docs/virtio.md}); by
     * default false. A driver that knows split ones only still has those.
     */
    public MicroVmBuilder packedRings(boolean value) {
        packedRings = value;
        return this;
    }

    /** Adds a network card; the guest's Linux calls the first one {@code eth0}. */
    public MicroVmBuilder network(Network value) {
        networks.add(value);
        return this;
    }

    /** Adds a disk; the guest finds the first as {@code /dev/vda}. */
    public MicroVmBuilder disk(Disk disk) {
        disks.add(disk);
        return this;
    }

    /** Adds a writable disk with default values. */
    public MicroVmBuilder disk(Path image) {
        return disk(Disk.of(image));
    }

    /** Sets what is started; by default the bundled Linux. */
    public MicroVmBuilder kernel(GuestKernel value) {
        kernel = value;
        return this;
    }

    /** Sets the initial RAM disk of a Linux kernel; by default the bundled one. */
    public MicroVmBuilder initrd(Path value) {
        initrd = value;
        withInitrd = true;
        return this;
    }

    /** Starts a Linux kernel without an initial RAM disk: no command, no guest agent. */
    public MicroVmBuilder noInitrd() {
        initrd = null;
        withInitrd = false;
        return this;
    }

    /** Adds kernel parameters; they win over the defaults. */
    public MicroVmBuilder append(String parameters) {
        append = append.isEmpty() ? parameters : append + " " + parameters;
        return this;
    }

    /**
     * Sets whether the guest gets ACPI tables; by default true, if the kernel reads them ({@link KernelTraits#acpi}). Without,
     * it finds its CPUs by the MP table.
     */
    public MicroVmBuilder acpi(boolean value) {
        acpi = value;
        return this;
    }

    /** Sets whether a write to port 0xf4 ends the VM, for test programs; by default false. */
    public MicroVmBuilder debugExit(boolean value) {
        debugExit = value;
        return this;
    }

    /** Sets what the guest runs, without a shell in between; by default an interactive shell on the console. */
    public MicroVmBuilder command(String... programAndArguments) {
        return command(List.of(programAndArguments));
    }

    /** Sets what the guest runs, without a shell in between. */
    public MicroVmBuilder command(List<String> programAndArguments) {
        command = List.copyOf(programAndArguments);
        return this;
    }

    /**
     * Runs no command, and no shell either: the guest waits for {@link MicroVm#exec} and copies until it is stopped.
     * {@link #build} refuses it beside a command.
     */
    public MicroVmBuilder idle() {
        idle = true;
        return this;
    }

    /** Adds an environment variable of the command. */
    public MicroVmBuilder environment(String variable, String value) {
        environment.put(variable, value);
        return this;
    }

    /** Sets the guest's host name. */
    public MicroVmBuilder hostname(String value) {
        hostname = value;
        return this;
    }

    /** Sets the directory in which the command starts; by default the root directory. */
    public MicroVmBuilder directory(String value) {
        directory = value;
        return this;
    }

    /** Sets how large the console's terminal is. */
    public MicroVmBuilder windowSize(int terminalRows, int terminalColumns) {
        rows = terminalRows;
        columns = terminalColumns;
        return this;
    }

    /** Sets where the console's output goes. The stream stays the caller's; it is not closed. */
    public MicroVmBuilder console(OutputStream output) {
        consoleOutput = output;
        return this;
    }

    /**
     * Sets what the console reads, on a thread of its own. A thread blocked in the stream's {@code read} ends only when
     * the stream gives something, ends or is closed; give none where that matters, and use {@link MicroVm#type}.
     *
     * <p>With {@link ConsoleMode#TERMINAL} this is for what a person types: Linux's driver takes as much as there is in one
     * interrupt, in which a guest with one vCPU runs nothing else. Files and pipes want {@link ConsoleMode#STREAM}.
     */
    public MicroVmBuilder consoleInput(InputStream input) {
        consoleInput = input;
        return this;
    }

    /**
     * Sets what the guest's console is; by default the serial port. A kernel without a driver for that has the virtio console
     * in any case ({@link KernelTraits#serialConsole}).
     */
    public MicroVmBuilder consoleKind(ConsoleKind kind) {
        consoleKind = kind;
        return this;
    }

    /**
     * Sets where the command's standard output goes; the stream stays the caller's. With it, {@link #stderr} or {@link #stdin} the
     * command has streams of its own, apart from each other and from the console, which then carries the kernel's messages only. They
     * are pipes, or one terminal with {@link ConsoleMode#TERMINAL}. The VM ends when all that the command wrote has been taken. A
     * stream that is not given is empty, or goes nowhere.
     *
     * <p>Where the guest has no vsock, the command is on the console nevertheless: then this stream gets all of the console's output,
     * and the console reads {@link #stdin}.
     */
    public MicroVmBuilder stdout(OutputStream output) {
        stdout = output;
        return this;
    }

    /** Sets where the command's standard error goes: see {@link #stdout}. */
    public MicroVmBuilder stderr(OutputStream output) {
        stderr = output;
        return this;
    }

    /**
     * Sets what the command reads: see {@link #stdout}. It is read by a thread of its own, which ends, when the command ends before the
     * stream, only after one more read.
     */
    public MicroVmBuilder stdin(InputStream input) {
        stdin = input;
        return this;
    }

    /**
     * Adds a named stream between programs of the guest and the host (virtio-console, F_MULTIPORT): in Linux the device
     * {@code /dev/vportNpM} whose {@code /sys/class/virtio-ports/vportNpM/name} is this name. The guest waits where the output
     * stream is slow, and the input stream where the guest is; what the guest has written when the VM ends is written out.
     * The end of {@code input} is not told: see {@link #inputPort}.
     *
     * <p>The streams stay the caller's and are not closed; each has a thread.
     *
     * @param portName 1 to 128 bytes of UTF-8, another one for each port
     */
    public MicroVmBuilder port(String portName, InputStream input, OutputStream output) {
        return addPort(new MachineConfig.Port(portName, Optional.of(input), Optional.of(output)));
    }

    /** Adds a port like {@link #port} that the guest only reads: it reads the end of the file where {@code input} ends. */
    public MicroVmBuilder inputPort(String portName, InputStream input) {
        return addPort(new MachineConfig.Port(portName, Optional.of(input), Optional.empty()));
    }

    /** Adds a port like {@link #port} that the guest only writes. */
    public MicroVmBuilder outputPort(String portName, OutputStream output) {
        return addPort(new MachineConfig.Port(portName, Optional.empty(), Optional.of(output)));
    }

    private MicroVmBuilder addPort(MachineConfig.Port port) {
        int bytes = port.name().getBytes(StandardCharsets.UTF_8).length;
        if (bytes < 1 || bytes > ConsolePort.MAX_NAME || port.name().chars().anyMatch(Character::isISOControl)) {
            throw wrong(
                    Problem.CONFIGURATION,
                    "a port's name has 1 to " + ConsolePort.MAX_NAME + " bytes and no control characters");
        }
        if (ports.stream().anyMatch(other -> other.name().equals(port.name()))) {
            throw wrong(Problem.CONFIGURATION, "two ports with the name " + port.name() + ": rename one");
        }
        if (ports.size() == ConsoleDevice.MAX_PORTS) {
            throw wrong(Problem.CONFIGURATION, "more than " + ConsoleDevice.MAX_PORTS + " ports: give the VM fewer");
        }
        ports.add(port);
        return this;
    }

    /**
     * Sets what the guest agent makes of the console, or of the command's own streams; by default a terminal of the console, and pipes of
     * the streams.
     */
    public MicroVmBuilder consoleMode(ConsoleMode mode) {
        consoleMode = mode;
        return this;
    }

    /**
     * Sets what happens when the console's output stream is slower than the guest; by default the guest waits
     * ({@link SlowReaderPolicy#HOLD_BACK}).
     *
     * @param capacity bytes buffered in front of the stream, at least 1
     */
    public MicroVmBuilder consoleBuffer(SlowReaderPolicy policy, int capacity) {
        if (capacity < 1) {
            throw wrong(Problem.CONFIGURATION, "console buffer of " + capacity + " bytes: use at least 1");
        }
        slowReader = policy;
        consoleCapacity = capacity;
        return this;
    }

    /** Adds someone to be told what happens to the VM. */
    public MicroVmBuilder listener(VmListener listener) {
        listeners.add(listener);
        return this;
    }

    /** Makes the VM, in state CREATED; nothing of the host is used yet. */
    public MicroVm build() {
        if (!kernel.isLinux() && (initrd != null || !append.isEmpty() || !command.isEmpty())) {
            throw wrong(
                    Problem.CONFIGURATION,
                    "a flat program takes no initial RAM disk, kernel parameters or command: leave them out");
        }
        String vmName = name != null ? name : "vm" + NEXT_NAME.getAndIncrement();
        if (idle && !command.isEmpty()) {
            throw wrong(Problem.CONFIGURATION, "a guest that is idle runs no command: leave one of both out");
        }
        boolean apart = stdin != null || stdout != null || stderr != null;
        if (apart && consoleInput != null) {
            throw wrong(
                    Problem.CONFIGURATION,
                    "the command has streams of its own: give it stdin instead of the console's input");
        }
        Optional<CommandStreams> streams =
                apart ? Optional.of(new CommandStreams(stdin, stdout, stderr, consoleOutput)) : Optional.empty();
        ConsoleMode mode = consoleMode != null ? consoleMode : apart ? ConsoleMode.STREAM : ConsoleMode.TERMINAL;
        MachineConfig config = new MachineConfig(
                vmName,
                vcpus,
                memory,
                hugePages,
                prefault,
                kernel,
                Optional.ofNullable(initrd),
                withInitrd && kernel.isLinux(),
                append,
                acpi && kernel.isLinux() && kernel.traits().acpi(),
                debugExit,
                new MachineConfig.GuestCommand(
                        command,
                        environment,
                        Optional.ofNullable(hostname),
                        Optional.ofNullable(directory),
                        rows,
                        columns,
                        apart && vsock && withInitrd && initrd == null,
                        idle),
                new MachineConfig.Console(
                        consoleKind,
                        streams.map(CommandStreams::console).or(() -> Optional.ofNullable(consoleOutput)),
                        streams.map(CommandStreams::consoleInput).or(() -> Optional.ofNullable(consoleInput)),
                        mode,
                        slowReader,
                        consoleCapacity),
                new MachineConfig.Devices(
                        rng, disks, vsockConfig(), networks, ports, Optional.ofNullable(balloon), packedRings),
                listeners);
        return new MicroVm(config, streams);
    }

    /** Makes the VM and starts it; see {@link MicroVm#start}. */
    public MicroVm start() {
        MicroVm vm = build();
        vm.start();
        return vm;
    }
}
