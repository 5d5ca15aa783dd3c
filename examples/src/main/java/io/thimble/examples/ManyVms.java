package io.thimble.examples;

import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs several VMs at once in one JVM and tells how long each took from its start to its command.
 *
 * <p>{@code examples/run ManyVms 4}
 */
public final class ManyVms {
    private ManyVms() {}

    private record Started(MicroVm vm, ByteArrayOutputStream output) {}

    /** Takes the number of VMs. */
    public static void main(String[] arguments) throws InterruptedException {
        int count = arguments.length == 0 ? 4 : Integer.parseInt(arguments[0]);
        List<Started> all = new ArrayList<>();
        try {
            for (int i = 0; i < count; i++) {
                ByteArrayOutputStream output = new ByteArrayOutputStream();
                MicroVm vm = MicroVm.builder()
                        .name("example" + i)
                        .memory(128L << 20)
                        .command("sh", "-c", "echo I am $NUMBER; exit $NUMBER")
                        .environment("NUMBER", Integer.toString(i))
                        .console(output)
                        .start();
                all.add(new Started(vm, output));
            }
            for (Started started : all) {
                ExitReport report = started.vm.await();
                Duration ready = started.vm.timeline().at("command started").orElse(Duration.ZERO);
                System.out.printf(
                        "%s: %s after %d ms: %s%n",
                        started.vm.name(),
                        report,
                        ready.toMillis(),
                        started.output.toString(StandardCharsets.UTF_8).strip());
            }
        } finally {
            all.forEach(started -> started.vm.close());
        }
    }
}
