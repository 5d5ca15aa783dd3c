package io.thimble.vmm.machine;

import io.thimble.kvm.KvmVm;
import io.thimble.vmm.ConsoleMode;
import io.thimble.vmm.MachineConfig;
import io.thimble.vmm.agent.AgentListener;
import io.thimble.vmm.agent.CommandInput;
import io.thimble.vmm.agent.ControlChannel;
import io.thimble.vmm.bus.Bus;
import io.thimble.vmm.bus.InterruptLine;
import io.thimble.vmm.legacy.AcpiPm;
import io.thimble.vmm.legacy.BufferedSerialOutput;
import io.thimble.vmm.legacy.CmosRtc;
import io.thimble.vmm.legacy.ConsoleTail;
import io.thimble.vmm.legacy.DebugExit;
import io.thimble.vmm.legacy.I8042;
import io.thimble.vmm.legacy.MachineEvents;
import io.thimble.vmm.legacy.Port92;
import io.thimble.vmm.legacy.PostCodePort;
import io.thimble.vmm.legacy.Pvpanic;
import io.thimble.vmm.legacy.ResetPort;
import io.thimble.vmm.legacy.Serial16550;
import io.thimble.vmm.legacy.SerialInputPump;
import io.thimble.vmm.legacy.SerialOutput;
import io.thimble.vmm.x86.LegacyInterrupts;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadFactory;
import org.jspecify.annotations.Nullable;

/**
 * The devices that every PC has, on their buses: two serial ports (the console and the agent's control channel), keyboard
 * controller, clock, ACPI power management, pvpanic and the ways to reset.
 */
final class Board {
    private static final int CONSOLE_TAIL = 4096;
    private static final int REPORTED_LINES = 20;

    private final List<GsiLine> lines = new ArrayList<>();
    private final KvmVm vm;
    private final @Nullable BufferedSerialOutput consoleOutput;
    private final ConsoleTail consoleTail;
    private final Serial16550 console;
    private final @Nullable CommandInput commandInput;
    private final @Nullable SerialInputPump consoleInput;
    private final ControlChannel control;
    private final I8042 keyboard;
    private final AcpiPm acpiPm;
    private final Bus pio;
    private final Bus mmio;

    /**
     * Makes the devices and starts the console's threads.
     *
     * @param vm whose interrupt lines they drive
     * @param memoryBelow4G bytes of RAM, for the CMOS
     * @param memoryAbove4G bytes of RAM, for the CMOS
     * @param mmio the bus of the devices that are not here
     */
    Board(
            KvmVm vm,
            MachineConfig config,
            long memoryBelow4G,
            long memoryAbove4G,
            Bus mmio,
            MachineEvents events,
            AgentListener agent) {
        this.vm = vm;
        MachineConfig.Console streams = config.console();
        OutputStream stream = streams.output().orElse(null);
        consoleOutput = stream == null
                ? null
                : BufferedSerialOutput.start(
                        stream, streams.capacity(), streams.slowReader(), threads(config.name(), "console-out"));
        consoleTail = new ConsoleTail(consoleOutput == null ? value -> true : consoleOutput, CONSOLE_TAIL);
        console = new Serial16550(line(LegacyInterrupts.COM1), consoleTail);

        ControlPort controlPort = new ControlPort(agent);
        control = controlPort.channel;
        Serial16550 controlUart =
                new Serial16550(line(LegacyInterrupts.COM2), SerialOutput.direct(controlPort.channel::accept));
        controlPort.uart = controlUart;

        keyboard = new I8042(line(LegacyInterrupts.KEYBOARD), events);
        acpiPm = new AcpiPm(line(LegacyInterrupts.SCI), events);

        Bus.Builder ports = Bus.pio()
                .add("COM1", Serial16550.COM1_PORT, Serial16550.LENGTH, console)
                .add("COM2", Serial16550.COM2_PORT, Serial16550.LENGTH, controlUart)
                .add("i8042 data", I8042.I8042_DATA_REG, 1, keyboard, I8042.DATA_OFFSET)
                .add("i8042 command", I8042.I8042_COMMAND_REG, 1, keyboard, I8042.COMMAND_OFFSET)
                .add(
                        "CMOS",
                        CmosRtc.RTC_PORT,
                        CmosRtc.LENGTH,
                        new CmosRtc(InstantSource.system(), memoryBelow4G, memoryAbove4G))
                .add("ACPI PM", AcpiPm.PM1A_EVENT_PORT, AcpiPm.LENGTH, acpiPm)
                .add("pvpanic", Pvpanic.PORT, Pvpanic.LENGTH, new Pvpanic(events))
                .add("reset control", ResetPort.PORT, ResetPort.LENGTH, new ResetPort(events))
                .add("system control A", Port92.PORT, Port92.LENGTH, new Port92(events))
                .add("POST code", PostCodePort.PORT, PostCodePort.LENGTH, new PostCodePort());
        if (config.debugExit()) {
            ports.add("debug exit", DebugExit.PORT, DebugExit.LENGTH, new DebugExit(events));
        }
        pio = ports.build();
        this.mmio = mmio;
        InputStream input = streams.input().orElse(null);
        if (streams.mode() == ConsoleMode.STREAM) {
            commandInput = new CommandInput(input == null ? InputStream.nullInputStream() : input, control::inputEnded);
            input = commandInput;
        } else {
            commandInput = null;
        }
        consoleInput =
                input == null ? null : SerialInputPump.start(input, console, threads(config.name(), "console-in"));
    }

    /** Ties the control channel to the port that carries it: each needs the other. */
    private static final class ControlPort implements ControlChannel.Sink {
        final ControlChannel channel;
        volatile @Nullable Serial16550 uart;

        ControlPort(AgentListener agent) {
            channel = new ControlChannel(agent, this);
        }

        /** A frame that finds no room is lost: the agent reads little and at once, or it is hostile. */
        @Override
        public void write(byte[] frame) {
            Serial16550 port = uart;
            if (port != null) {
                int _ = port.receive(frame, 0, frame.length);
            }
        }
    }

    private InterruptLine line(int gsi) {
        GsiLine line = new GsiLine(vm, gsi);
        lines.add(line);
        return line;
    }

    private static ThreadFactory threads(String vmName, String role) {
        return Thread.ofPlatform()
                .name("thimble-" + vmName + "-" + role)
                .daemon(true)
                .stackSize(256 * 1024)
                .factory();
    }

    Bus pio() {
        return pio;
    }

    Bus mmio() {
        return mmio;
    }

    ControlChannel control() {
        return control;
    }

    I8042 keyboard() {
        return keyboard;
    }

    AcpiPm acpiPm() {
        return acpiPm;
    }

    /** Lets the console's input through that waited for the command. */
    void commandRuns() {
        if (commandInput != null) {
            commandInput.open();
        }
    }

    /** Lets more of the console's input through, when it is a stream. */
    void inputTaken(long bytes) {
        if (commandInput != null) {
            commandInput.taken(bytes);
        }
    }

    Serial16550 console() {
        return console;
    }

    List<String> lastConsoleLines() {
        return consoleTail.lastLines(REPORTED_LINES);
    }

    long consoleDropped() {
        return (consoleOutput == null ? 0 : consoleOutput.dropped()) + console.transmitOverruns();
    }

    /**
     * Ends the console's threads, writing out what is buffered, and cuts the interrupt lines; after the vCPUs have ended.
     *
     * @param deadline how long the console's reader may take
     */
    void close(Duration deadline) {
        if (consoleInput != null) {
            consoleInput.stop();
        }
        if (commandInput != null) {
            commandInput.cancel();
        }
        lines.forEach(GsiLine::disconnect);
        if (consoleOutput != null) {
            consoleOutput.close(deadline);
        }
    }
}
