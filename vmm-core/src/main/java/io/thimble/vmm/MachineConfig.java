package io.thimble.vmm;

import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * All that a VM is made from; built by {@link MicroVmBuilder}, whose methods describe each part.
 *
 * @param name of the VM, for thread names and messages
 * @param vcpus how many
 * @param memory of the guest in bytes
 * @param hugePages whether guest memory is advised to be huge pages
 * @param prefault whether guest memory is touched before the guest starts
 * @param kernel what is started
 * @param initrd the initial RAM disk; empty for the bundled one
 * @param withInitrd whether there is an initial RAM disk at all
 * @param append kernel parameters of the user's
 * @param acpi whether the guest gets ACPI tables
 * @param debugExit whether a write to port 0xf4 ends the VM
 * @param guest what the guest agent is to run
 * @param console the console and its streams
 * @param devices the virtio devices
 * @param listeners who is told
 */
public record MachineConfig(
        String name,
        int vcpus,
        long memory,
        boolean hugePages,
        boolean prefault,
        GuestKernel kernel,
        Optional<Path> initrd,
        boolean withInitrd,
        String append,
        boolean acpi,
        boolean debugExit,
        GuestCommand guest,
        Console console,
        Devices devices,
        List<VmListener> listeners) {

    /** Copies the listeners. */
    public MachineConfig {
        listeners = List.copyOf(listeners);
    }

    /**
     * What the guest agent is to run.
     *
     * @param command program and arguments; empty for an interactive shell on the console
     * @param environment variables on top of the agent's own
     * @param hostname the guest's name; empty for the agent's default
     * @param directory where the command starts; empty for the root directory
     * @param rows of the console's terminal; 0 if unknown
     * @param columns of the console's terminal; 0 if unknown
     * @param connected whether the agent connects to the host with the command's streams
     * @param idle whether no command runs, and no shell either
     */
    public record GuestCommand(
            List<String> command,
            Map<String, String> environment,
            Optional<String> hostname,
            Optional<String> directory,
            int rows,
            int columns,
            boolean connected,
            boolean idle) {
        /** Copies the collections. */
        public GuestCommand {
            command = List.copyOf(command);
            environment = Map.copyOf(environment);
        }
    }

    /**
     * The virtio devices.
     *
     * @param rng whether there is an entropy device
     * @param disks in the order in which the guest finds them
     * @param vsock the socket device; empty for none
     * @param networks the network cards
     * @param ports named ports of a console device
     * @param balloon the balloon; empty for none
     * @param packedRings whether drivers may choose packed virtqueues
     */
    public record Devices(
            boolean rng,
            List<Disk> disks,
            Optional<VsockConfig> vsock,
            List<Network> networks,
            List<Port> ports,
            Optional<Balloon> balloon,
            boolean packedRings) {
        /** Copies the lists. */
        public Devices {
            disks = List.copyOf(disks);
            networks = List.copyOf(networks);
            ports = List.copyOf(ports);
        }
    }

    /**
     * The socket device.
     *
     * @param guestCid the guest's address
     * @param socket where a Unix socket leads to it; empty for nowhere
     */
    public record VsockConfig(long guestCid, Optional<Path> socket) {}

    /**
     * A named stream between programs of the guest and the host.
     *
     * @param name by which the guest finds it
     * @param input what the guest reads; empty for nothing
     * @param output where goes what the guest writes; empty for nowhere
     */
    public record Port(String name, Optional<InputStream> input, Optional<OutputStream> output) {}

    /**
     * The console.
     *
     * @param kind what the guest has as its console, if the kernel leaves a choice
     * @param output where the guest's output goes; without, it is dropped (a report still has its end)
     * @param input what the guest reads; empty for nothing
     * @param mode what the guest agent makes of it
     * @param slowReader what happens when {@code output} is slower than the guest
     * @param capacity of the buffer in front of {@code output}, in bytes
     */
    public record Console(
            ConsoleKind kind,
            Optional<OutputStream> output,
            Optional<InputStream> input,
            ConsoleMode mode,
            SlowReaderPolicy slowReader,
            int capacity) {}
}
