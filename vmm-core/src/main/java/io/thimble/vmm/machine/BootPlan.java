package io.thimble.vmm.machine;

import io.thimble.vmm.ConsoleKind;
import io.thimble.vmm.ConsoleMode;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.KernelTraits;
import io.thimble.vmm.MachineConfig;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.agent.CommandSegment;
import io.thimble.vmm.boot.BootException;
import io.thimble.vmm.boot.BootProtocol;
import io.thimble.vmm.boot.CommandLine;
import io.thimble.vmm.boot.EntryMode;
import io.thimble.vmm.boot.FlatBinary;
import io.thimble.vmm.boot.Initrd;
import io.thimble.vmm.boot.InsufficientMemoryException;
import io.thimble.vmm.boot.KernelImage;
import io.thimble.vmm.boot.Krunfw;
import io.thimble.vmm.boot.MemoryNeeds;
import io.thimble.vmm.boot.RawKernel;
import io.thimble.vmm.guest.AgentConnector;
import io.thimble.vmm.spi.BundledGuest;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;

/**
 * What is to be booted, opened and checked before the VM uses anything of KVM: the kernel, the initial RAM disk with the
 * command's segment, and the command line.
 *
 * @param image the kernel
 * @param protocol how an ELF kernel is entered
 * @param initrd perhaps empty
 * @param commandLine as the kernel gets it
 */
record BootPlan(KernelImage image, BootProtocol protocol, Initrd initrd, CommandLine commandLine)
        implements AutoCloseable {
    /** For kernels that are not ours, besides the console: a reset through the i8042 at once after a panic. */
    private static final String DEFAULT_COMMAND_LINE = "reboot=k panic=-1";

    private static final String VIRTIO_CONSOLE = "console=hvc0";

    /** Linux leaves it when the console proper starts, and repeats nothing there. */
    private static final String EARLY_CONSOLE = "earlycon=uart8250,io,0x3f8";

    private static volatile @Nullable BundledGuest foundGuest;

    /**
     * Opens everything.
     *
     * @param devices to announce to the kernel
     * @throws MicroVmException if a file is missing or wrong, or memory too small for them
     */
    static BootPlan open(MachineConfig config, DevicePlan devices) {
        try {
            return openFiles(config, devices);
        } catch (InsufficientMemoryException e) {
            throw new MicroVmException(Problem.MEMORY, Messages.of(e), e);
        } catch (BootException e) {
            throw new MicroVmException(Problem.BOOT_FILES, Messages.of(e), e);
        } catch (IOException e) {
            throw new MicroVmException(Problem.BOOT_FILES, "boot files: " + e.getMessage(), e);
        }
    }

    private static BootPlan openFiles(MachineConfig config, DevicePlan devices) throws IOException {
        KernelImage image = openKernel(config.kernel());
        Initrd initrd = new Initrd();
        try {
            if (config.withInitrd() && !RootDisk.isNeeded(config)) {
                initrd.add(initrd(config));
                initrd.add(commandSegment(config).toBytes());
            }
            MemoryNeeds.check(image, initrd.size(), config.memory());
            BootProtocol protocol =
                    config.kernel() instanceof GuestKernel.LinuxFile file && file.entry() == GuestKernel.Entry.PVH
                            ? BootProtocol.PVH
                            : BootProtocol.LINUX;
            return new BootPlan(image, protocol, initrd, commandLine(config, devices));
        } catch (IOException | RuntimeException e) {
            initrd.close();
            image.close();
            throw e;
        }
    }

    private static KernelImage openKernel(GuestKernel kernel) throws IOException {
        return switch (kernel) {
            case GuestKernel.Bundled _ -> KernelImage.open(bundledGuest().kernel());
            case GuestKernel.LinuxFile file ->
                file.entry() == GuestKernel.Entry.AS_IT_IS
                        ? KernelImage.open(file.path())
                        : KernelImage.openUnpacked(file.path());
            case GuestKernel.RawFile raw -> RawKernel.open(raw.path(), raw.loadAddress(), raw.entryPoint());
            case GuestKernel.KrunfwLibrary krunfw -> Krunfw.open(krunfw.library());
            case GuestKernel.RealMode real ->
                FlatBinary.openRealMode(real.path(), real.codeSegment(), real.instructionPointer());
            case GuestKernel.Flat flat ->
                FlatBinary.open(
                        flat.path(),
                        flat.longMode() ? EntryMode.LONG_64 : EntryMode.PROTECTED_32,
                        flat.address(),
                        flat.address());
        };
    }

    /** Looks for the provider in every jar, so what was found is kept; a failure (no descriptor left, say) is not. */
    private static BundledGuest bundledGuest() {
        BundledGuest found = foundGuest;
        if (found == null) {
            try {
                found = ServiceLoader.load(BundledGuest.class, BundledGuest.class.getClassLoader())
                        .findFirst()
                        .orElseThrow(() -> new MicroVmException(
                                Problem.BOOT_FILES,
                                "no bundled guest is on the class path or module path: add io.thimble:thimble-guest-linux"
                                        + " (io.thimble:microvm brings it), or name a kernel and an initial RAM disk"));
            } catch (ServiceConfigurationError e) {
                throw new MicroVmException(
                        Problem.BOOT_FILES,
                        "the bundled guest cannot be loaded: " + Messages.of(e)
                                + " - raise the limit of open files (ulimit -n) if it is reached, else mend the class path",
                        e);
            }
            foundGuest = found;
        }
        return found;
    }

    /** Returns the initial RAM disk's file, without the command's segment. */
    static Path initrd(MachineConfig config) throws IOException {
        return config.initrd().isPresent()
                ? config.initrd().get()
                : bundledGuest().initrd();
    }

    /** Returns what the agent is to run. */
    static CommandSegment commandSegment(MachineConfig config) {
        MachineConfig.GuestCommand guest = config.guest();
        try {
            return new CommandSegment(
                    guest.command(),
                    guest.environment(),
                    guest.hostname().orElse(null),
                    guest.directory().orElse(null),
                    config.kernel().traits().serialConsole() ? null : Consoles.VIRTIO_CONTROL,
                    config.console().mode() == ConsoleMode.STREAM,
                    guest.rows(),
                    guest.columns(),
                    guest.connected() ? "vsock:" + AgentConnector.SESSION_PORT : null,
                    guest.idle());
        } catch (IllegalArgumentException e) {
            throw new MicroVmException(Problem.CONFIGURATION, "guest command: " + e.getMessage(), e);
        }
    }

    private static CommandLine commandLine(MachineConfig config, DevicePlan devices) throws IOException {
        if (!config.kernel().isLinux()) {
            return CommandLine.empty();
        }
        KernelTraits traits = config.kernel().traits();
        String defaults = config.kernel() instanceof GuestKernel.Bundled
                ? bundledGuest().defaultCommandLine()
                : "console=" + traits.consoleName() + " " + DEFAULT_COMMAND_LINE;
        CommandLine line = CommandLine.parse(config.append());
        if (Consoles.kind(config) == ConsoleKind.VIRTIO) {
            line = line.withDefaults(VIRTIO_CONSOLE + (traits.serialConsole() ? " " + EARLY_CONSOLE : ""));
        }
        line = line.withDefaults(defaults)
                .withDefaults(NetworkCards.kernelParameters(config.devices().networks()));
        if (RootDisk.isNeeded(config)) {
            line = line.withDefaults(RootDisk.kernelParameters(config));
        }
        if (config.acpi()) {
            return line;
        }
        // A kernel without ACPI would take acpi=off for a word to init.
        CommandLine withoutAcpi = traits.acpi() ? line.withDefaults("acpi=off") : line;
        return withoutAcpi.append(devices.kernelParameters());
    }

    @Override
    public void close() {
        try (image) {
            initrd.close();
        } catch (IOException e) {
            throw new MicroVmException(Problem.BOOT_FILES, "boot files: " + e.getMessage(), e);
        }
    }
}
