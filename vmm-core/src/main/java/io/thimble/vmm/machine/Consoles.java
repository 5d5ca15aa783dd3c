package io.thimble.vmm.machine;

import io.thimble.virtio.console.ConsoleDevice;
import io.thimble.virtio.console.ConsolePort;
import io.thimble.virtio.console.PortOutput;
import io.thimble.virtio.device.VirtioDevice;
import io.thimble.vmm.ConsoleKind;
import io.thimble.vmm.MachineConfig;
import io.thimble.vmm.SlowReaderPolicy;
import io.thimble.vmm.legacy.BufferedSerialOutput;
import io.thimble.vmm.legacy.ConsoleTail;
import io.thimble.vmm.legacy.InputTarget;
import io.thimble.vmm.legacy.SerialInputPump;
import io.thimble.vmm.legacy.SerialOutput;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadFactory;
import org.jspecify.annotations.Nullable;

/**
 * The guest's console and named ports: the streams, their threads, and the virtio devices behind which they are. The serial port
 * writes to the console's output whatever the console is: a kernel's first lines come only from there.
 *
 * <p>Each console has a device to itself, without F_MULTIPORT: that is ready sooner, and the order of rows and columns in a
 * resize message is no question.
 */
final class Consoles {
    /** What the agent calls the control channel where there is no second serial port. */
    static final String VIRTIO_CONTROL = "/dev/hvc1";

    private static final int CONSOLE_TAIL = 4096;
    private static final int REPORTED_LINES = 20;

    private final String vm;
    private final @Nullable BufferedSerialOutput output;
    private final ConsoleTail tail;
    private final @Nullable ConsolePort consolePort;
    private final @Nullable ConsoleDevice consoleDevice;
    private final @Nullable ConsolePort controlPort;
    private final Object controlLock = new Object();
    private volatile PortOutput controlOutput = PortOutput.none();
    private final List<VirtioDevice> devices = new ArrayList<>();
    private final List<BufferedSerialOutput> portOutputs = new ArrayList<>();
    private final List<SerialInputPump> inputs = new ArrayList<>();
    private final List<Runnable> inputStarters = new ArrayList<>();

    /** Makes the consoles' devices, and starts what writes the console's output. */
    Consoles(MachineConfig config) {
        vm = config.name();
        MachineConfig.Console streams = config.console();
        OutputStream stream = streams.output().orElse(null);
        output = stream == null
                ? null
                : BufferedSerialOutput.start(
                        stream, streams.capacity(), streams.slowReader(), threads(vm, "console-out"));
        tail = new ConsoleTail(output == null ? _ -> true : output, CONSOLE_TAIL);
        if (kind(config) == ConsoleKind.VIRTIO) {
            consolePort = ConsolePort.console(tail);
            consoleDevice = new ConsoleDevice("console", List.of(consolePort));
            devices.add(consoleDevice);
        } else {
            consolePort = null;
            consoleDevice = null;
        }
        if (config.kernel().traits().serialConsole()) {
            controlPort = null;
        } else {
            controlPort = ConsolePort.console(this::control);
            devices.add(new ConsoleDevice("control", List.of(controlPort)));
        }
    }

    /** From the device loop's thread, and for emergency writes from vCPUs' threads. */
    private int control(byte[] bytes, int offset, int length) {
        synchronized (controlLock) {
            return controlOutput.offer(bytes, offset, length);
        }
    }

    /** Makes the device of the named ports, if there are any; {@link #close} is due even if this fails. */
    void addPorts(List<MachineConfig.Port> named) {
        if (!named.isEmpty()) {
            devices.add(
                    new ConsoleDevice("ports", named.stream().map(this::port).toList()));
        }
    }

    /** Returns what the console is: a kernel without a serial port's driver leaves no choice. */
    static ConsoleKind kind(MachineConfig config) {
        return config.kernel().traits().serialConsole() ? config.console().kind() : ConsoleKind.VIRTIO;
    }

    private ConsolePort port(MachineConfig.Port config) {
        ConsolePort port = config.output()
                .map(stream -> ConsolePort.named(config.name(), portOutput(stream)))
                .orElseGet(() -> ConsolePort.readOnly(config.name()));
        Optional<InputStream> input = config.input();
        input.ifPresent(stream -> inputStarters.add(() -> inputs.add(
                SerialInputPump.start(stream, new PortTarget(port), port::endInput, threads(vm, "port-in")))));
        return port;
    }

    private BufferedSerialOutput portOutput(OutputStream stream) {
        BufferedSerialOutput started = BufferedSerialOutput.start(
                stream, BufferedSerialOutput.DEFAULT_CAPACITY, SlowReaderPolicy.HOLD_BACK, threads(vm, "port-out"));
        portOutputs.add(started);
        return started;
    }

    /** A port as what input is fed to. */
    private record PortTarget(ConsolePort port) implements InputTarget {
        @Override
        public int receive(byte[] source, int offset, int length) {
            return port.receive(source, offset, length);
        }

        @Override
        public void onInputRoom(Runnable callback) {
            port.onInputRoom(callback);
        }
    }

    private static ThreadFactory threads(String vmName, String role) {
        return Thread.ofPlatform()
                .name("thimble-" + vmName + "-" + role)
                .daemon(true)
                .stackSize(256 * 1024)
                .factory();
    }

    /** Returns the devices, in the order in which a guest is to number them. */
    List<VirtioDevice> devices() {
        return List.copyOf(devices);
    }

    /** Returns where the console's characters go. */
    SerialOutput output() {
        return tail;
    }

    /** Returns what takes the console's input, or null if that is the serial port. */
    @Nullable
    InputTarget input() {
        return consolePort == null ? null : new HvcInput(consolePort);
    }

    /**
     * Ties the agent's control channel to its port.
     *
     * @param received takes what the agent sends
     * @return what takes what the agent is sent, or null if the channel is the second serial port
     */
    @Nullable
    InputTarget connectControl(SerialOutput received) {
        controlOutput = received;
        return controlPort == null ? null : new PortTarget(controlPort);
    }

    /** Starts the threads that read: the console's and the ports'. */
    void startInputs(InputTarget console, @Nullable InputStream consoleInput) {
        if (consoleInput != null) {
            inputs.add(SerialInputPump.start(consoleInput, console, threads(vm, "console-in")));
        }
        inputStarters.forEach(Runnable::run);
    }

    /** Tells a virtio console's driver how large the terminal is. */
    void setSize(int rows, int columns) {
        if (consoleDevice != null) {
            consoleDevice.setSize(rows, columns);
        }
    }

    List<String> lastLines() {
        return tail.lastLines(REPORTED_LINES);
    }

    long dropped() {
        long ofPorts =
                portOutputs.stream().mapToLong(BufferedSerialOutput::dropped).sum();
        return output == null ? ofPorts : output.dropped() + ofPorts;
    }

    /** Feeds nothing more to the guest. */
    void stopInputs() {
        inputs.forEach(SerialInputPump::stop);
    }

    /**
     * Writes out what is buffered and ends the threads; after the devices.
     *
     * @param deadline how long each reader may take, beginning with the console's
     */
    void close(Duration deadline) {
        stopInputs();
        long end = System.nanoTime() + deadline.toNanos();
        if (output != null) {
            output.close(deadline);
        }
        for (BufferedSerialOutput port : portOutputs) {
            port.close(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
        }
    }
}
