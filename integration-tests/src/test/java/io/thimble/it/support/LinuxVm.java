package io.thimble.it.support;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.spi.BundledGuest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ServiceLoader;

/** Runs of the bundled Linux. */
public final class LinuxVm {
    /** Longer than any boot takes, on a busy machine as well. */
    public static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));

    private LinuxVm() {}

    /** Runs a shell script to a power-off with status 0 and returns what it printed, without the kernel's log. */
    public static String output(MicroVmBuilder builder, String script) throws InterruptedException {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = builder.console(console).command("sh", "-c", script).start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow(() -> new AssertionError("no end: " + console));
            assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.POWER_OFF);
            assertThat(report.commandStatus()).as(report.describe()).hasValue(0);
            return console.withoutKernelLog();
        }
    }

    /** Returns the bundled kernel's file. */
    public static Path kernel() {
        try {
            return bundled().kernel();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the bundled initial RAM disk's file. */
    public static Path initrd() {
        try {
            return bundled().initrd();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static BundledGuest bundled() {
        return ServiceLoader.load(BundledGuest.class).findFirst().orElseThrow();
    }
}
