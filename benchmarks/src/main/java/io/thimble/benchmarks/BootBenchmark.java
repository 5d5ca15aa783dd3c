package io.thimble.benchmarks;

import io.thimble.vmm.MicroVm;
import io.thimble.vmm.Timeline;
import io.thimble.vmm.spi.BundledGuest;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;

/**
 * Time from the start of the process (or of the VM, in a JVM that is warm) to a line that the guest's command prints, against
 * QEMU's microvm with the same kernel, initial RAM disk and command. Run by {@code benchmarks/boot}.
 */
public final class BootBenchmark {
    private static final String LINE = "benchmark-line";
    private static final String COMMAND = "echo";
    private static final long MEMORY = 256L << 20;

    private BootBenchmark() {}

    /** Takes the project's root folder and the number of rounds. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        Path root = Path.of(arguments[0]);
        int rounds = Integer.parseInt(arguments[1]);
        BundledGuest guest = ServiceLoader.load(BundledGuest.class).findFirst().orElseThrow();
        Path initrd = GuestInitrd.withCommand(guest, List.of(COMMAND, LINE));
        try {
            List<String> qemu = QemuMicrovm.command(guest, initrd, "", List.of());
            List<String> launcher = List.of(root.resolve("thimble").toString(), "run", "--", COMMAND, LINE);
            measure(qemu, launcher, rounds);
        } finally {
            Files.delete(initrd);
        }
    }

    private static void measure(List<String> qemu, List<String> launcher, int rounds)
            throws IOException, InterruptedException {
        Series ofQemu = new Series("QEMU microvm, process start to line");
        Series ofLauncher = new Series("./thimble run, process start to line");
        Series ofWarmVm = new Series("next VM in a warm JVM, start() to line");
        Series ofFirstRun = new Series("  of which start() to first KVM_RUN");
        // Files into the page cache, the launcher's AOT cache, this JVM's code: not measured.
        for (int i = 0; i < 3; i++) {
            process(qemu);
            process(launcher);
            warmVm(new Series(""), new Series(""));
        }
        for (int i = 0; i < rounds; i++) {
            ofQemu.add(process(qemu));
            ofLauncher.add(process(launcher));
            warmVm(ofWarmVm, ofFirstRun);
        }
        System.out.println(rounds + " rounds, interleaved; ratio to QEMU");
        for (Series series : List.of(ofQemu, ofLauncher, ofWarmVm, ofFirstRun)) {
            System.out.println(series.line(ofQemu));
        }
    }

    private static void warmVm(Series toLine, Series toFirstRun) throws InterruptedException {
        LineWatcher watcher = new LineWatcher(LINE);
        long start = System.nanoTime();
        try (MicroVm vm = MicroVm.builder()
                .memory(MEMORY)
                .command(COMMAND, LINE)
                .console(watcher)
                .start()) {
            toLine.add(watcher.await() - start);
            toFirstRun.add(vm.timeline().at(Timeline.FIRST_RUN).orElseThrow().toNanos());
            vm.await();
        }
    }

    /** Starts a process, waits for the line, and kills it. */
    private static long process(List<String> command) throws IOException, InterruptedException {
        long start = System.nanoTime();
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(Path.of("/dev/null").toFile())
                .start();
        try (BufferedReader output = process.inputReader(StandardCharsets.ISO_8859_1)) {
            StringBuilder all = new StringBuilder();
            for (String line = output.readLine(); line != null; line = output.readLine()) {
                if (line.contains(LINE)) {
                    return System.nanoTime() - start;
                }
                all.append(line).append('\n');
            }
            throw new IllegalStateException(command.getFirst() + " did not print the line:\n" + all);
        } finally {
            process.destroyForcibly();
            process.waitFor();
        }
    }
}
