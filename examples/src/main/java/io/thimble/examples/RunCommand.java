package io.thimble.examples;

import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Runs a command in a VM, with a deadline, and exits with its status.
 *
 * <p>{@code examples/run RunCommand sh -c 'uname -a; exit 3'}
 */
public final class RunCommand {
    private static final Duration DEADLINE = Duration.ofMinutes(1);

    private RunCommand() {}

    /** Takes the command and its arguments. */
    public static void main(String[] arguments) throws InterruptedException {
        List<String> command = arguments.length == 0 ? List.of("uname", "-a") : List.of(arguments);
        try (MicroVm vm = MicroVm.builder().command(command).console(System.out).start()) {
            Optional<ExitReport> report = vm.await(DEADLINE);
            if (report.isEmpty()) {
                System.err.println("still running after " + DEADLINE.toSeconds() + " s: stopping it");
                report = Optional.of(vm.stop(Duration.ofSeconds(5)));
            }
            System.exit(report.get().commandStatus().orElse(1));
        }
    }
}
