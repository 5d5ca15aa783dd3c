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
import io.thimble.vmm.legacy.CmosRtc;
import io.thimble.vmm.legacy.DebugExit;
import io.thimble.vmm.legacy.I8042;
import io.thimble.vmm.legacy.InputTarget;
import io.thimble.vmm.legacy.MachineEvents;
import io.thimble.vmm.legacy.Port92;
import io.thimble.vmm.legacy.PostCodePort;
import io.thimble.vmm.legacy.Pvpanic;
import io.thimble.vmm.legacy.ResetPort;
import io.thimble.vmm.legacy.Serial16550;
import io.thimble.vmm.legacy.SerialOutput;
import io.thimble.vmm.x86.LegacyInterrupts;
import java.io.InputStream;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The devices that every PC has, on their buses: two serial ports (the console and the agent's control channel), keyboard
 * controller, clock, ACPI power management, pvpanic and the ways to reset.
 */
final class Board {
    private final List<GsiLine> lines = new ArrayList<>();
    private final KvmVm vm;
    private final Consoles consoles;
    private final Serial16550 com1;
    private final InputTarget console;
    private final @Nullable CommandInput commandInput;
    private final ControlChannel control;
    private final I8042 keyboard;
    private final AcpiPm acpiPm;
    private final Bus pio;
    private final Bus mmio;

    /**
     * Makes the devices and starts what reads the console's input.
     *
     * @param vm whose interrupt lines they drive
     * @param memoryBelow4G bytes of RAM, for the CMOS
     * @param memoryAbove4G bytes of RAM, for the CMOS
     * @param mmio the bus of the devices that are not here
     * @param consoles behind the serial ports
     */
    Board(
            KvmVm vm,
            MachineConfig config,
            long memoryBelow4G,
            long memoryAbove4G,
            Bus mmio,
            Consoles consoles,
            MachineEvents events,
            AgentListener agent) {
        this.vm = vm;
        this.consoles = consoles;
        com1 = new Serial16550(line(LegacyInterrupts.COM1), consoles.output());
        InputTarget virtioConsole = consoles.input();
        console = virtioConsole == null ? com1 : virtioConsole;

        ControlPort controlPort = new ControlPort(agent);
        control = controlPort.channel;
        SerialOutput fromAgent = SerialOutput.direct(control::accept);
        InputTarget virtioControl = consoles.connectControl(fromAgent);
        Serial16550 controlUart =
                new Serial16550(line(LegacyInterrupts.COM2), virtioControl == null ? fromAgent : _ -> true);
        controlPort.toAgent = virtioControl == null ? controlUart : virtioControl;

        keyboard = new I8042(line(LegacyInterrupts.KEYBOARD), events);
        acpiPm = new AcpiPm(line(LegacyInterrupts.SCI), events);

        Bus.Builder ports = Bus.pio()
                .add("COM1", Serial16550.COM1_PORT, Serial16550.LENGTH, com1)
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
        InputStream input = config.console().input().orElse(null);
        if (config.console().mode() == ConsoleMode.STREAM) {
            commandInput = new CommandInput(input == null ? InputStream.nullInputStream() : input, control::inputEnded);
            input = commandInput;
        } else {
            commandInput = null;
        }
        consoles.startInputs(console, input);
    }

    /** Ties the control channel to the port that carries it: each needs the other. */
    private static final class ControlPort implements ControlChannel.Sink {
        final ControlChannel channel;
        volatile @Nullable InputTarget toAgent;

        ControlPort(AgentListener agent) {
            channel = new ControlChannel(agent, this);
        }

        /** A frame that finds no room is lost: the agent reads little and at once, or it is hostile. */
        @Override
        public void write(byte[] frame) {
            InputTarget port = toAgent;
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

    /** Returns what takes the console's input. */
    InputTarget console() {
        return console;
    }

    void setConsoleSize(int rows, int columns) {
        consoles.setSize(rows, columns);
    }

    List<String> lastConsoleLines() {
        return consoles.lastLines();
    }

    long consoleDropped() {
        return consoles.dropped() + com1.transmitOverruns();
    }

    /** Takes no more input and cuts the interrupt lines; after the vCPUs have ended. */
    void close() {
        consoles.stopInputs();
        if (commandInput != null) {
            commandInput.cancel();
        }
        lines.forEach(GsiLine::disconnect);
    }
}
