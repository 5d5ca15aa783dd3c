package io.thimble.benchmarks;

import io.thimble.vmm.spi.BundledGuest;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The peer of every comparison: QEMU's microvm with the bundled kernel, 1 vCPU and 256 MiB, as quick to start as it can be. */
final class QemuMicrovm {
    private QemuMicrovm() {}

    /**
     * Returns the command.
     *
     * @param kernelArguments appended to the bundled kernel's own; may be empty
     * @param devices further options
     */
    static List<String> command(BundledGuest guest, Path initrd, String kernelArguments, List<String> devices)
            throws IOException {
        List<String> command = new ArrayList<>(List.of(
                "qemu-system-x86_64",
                "-M",
                "microvm,acpi=off",
                "-accel",
                "kvm",
                "-cpu",
                "host,-arch-capabilities",
                "-m",
                "256M",
                "-smp",
                "1",
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-display",
                "none",
                "-serial",
                "stdio",
                "-kernel",
                guest.kernel().toString(),
                "-initrd",
                initrd.toString(),
                "-append",
                (guest.defaultCommandLine() + " " + kernelArguments).strip()));
        command.addAll(devices);
        return command;
    }
}
