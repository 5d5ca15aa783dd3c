package io.thimble.benchmarks;

import io.thimble.vmm.Disk;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.spi.BundledGuest;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;

/**
 * fio in a guest on a raw image with direct I/O: ours against QEMU microvm with each of its ways to do I/O. Arguments: folder
 * with {@code disk.img} and {@code tools.img}, rounds, seconds for each measurement.
 */
final class BlockBenchmark {
    private static final Duration LIMIT = Duration.ofMinutes(10);
    private static final String OURS = "thimble";
    /** We, and QEMU's {@code aio=} values. */
    private static final List<String> ENGINES = List.of(OURS, "io_uring", "native", "threads");

    private static final String END = "NO-MORE-RESULTS";

    private final Path folder;
    private final int seconds;
    /** For each machine and line what fio has measured, in operations a second. */
    private final Map<String, Map<Line, List<Double>>> results = new LinkedHashMap<>();

    /** One line of the table. */
    private enum Line {
        RANDOM_READ_1("4 KiB random read, depth 1", "randread", "4k", 1),
        RANDOM_WRITE_1("4 KiB random write, depth 1", "randwrite", "4k", 1),
        RANDOM_READ_32("4 KiB random read, depth 32", "randread", "4k", 32),
        RANDOM_WRITE_32("4 KiB random write, depth 32", "randwrite", "4k", 32),
        READ("1 MiB sequential read, depth 4", "read", "1m", 4),
        WRITE("1 MiB sequential write, depth 4", "write", "1m", 4);

        final String title;
        final String pattern;
        final String block;
        final int depth;

        Line(String title, String pattern, String block, int depth) {
            this.title = title;
            this.pattern = pattern;
            this.block = block;
            this.depth = depth;
        }
    }

    private BlockBenchmark(Path folder, int seconds) {
        this.folder = folder;
        this.seconds = seconds;
    }

    /** Runs the benchmark. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        BlockBenchmark benchmark = new BlockBenchmark(Path.of(arguments[1]), Integer.parseInt(arguments[3]));
        int rounds = Integer.parseInt(arguments[2]);
        for (int round = 0; round < rounds; round++) {
            // Another one begins each round, and the order turns around: none always follows the same.
            List<String> order = new ArrayList<>(ENGINES);
            Collections.rotate(order, round);
            for (String engine : round % 2 == 0 ? order : order.reversed()) {
                benchmark.take(engine, engine.equals(OURS) ? benchmark.thimble() : benchmark.qemu(engine));
            }
            System.err.printf(Locale.ROOT, "round %d of %d%n", round + 1, rounds);
        }
        benchmark.report();
    }

    private String script() {
        StringBuilder script = new StringBuilder(
                // Which of the two comes first differs; only the tools' disk has a file system.
                "mkdir -p /tools; disk=vda; mount -t ext4 -o ro /dev/vdb /tools 2>/dev/null"
                        + " || { disk=vdb; mount -t ext4 -o ro /dev/vda /tools || exit 1; }; ");
        for (Line line : Line.values()) {
            script.append(Fio.command(line.name(), "/dev/$disk", line.pattern, line.block, line.depth, seconds));
        }
        return script.append("echo ").append(END).toString();
    }

    private String thimble() throws InterruptedException {
        ByteArrayOutputStream console = new ByteArrayOutputStream();
        try (MicroVm vm = MicroVm.builder()
                .disk(Disk.of(folder.resolve("disk.img")).direct(true))
                .disk(Disk.of(folder.resolve("tools.img")).readOnly(true))
                .console(console)
                .command("sh", "-c", script())
                .start()) {
            if (vm.await(LIMIT).isEmpty()) {
                throw new IllegalStateException("no end: " + console.toString(StandardCharsets.UTF_8));
            }
        }
        return console.toString(StandardCharsets.UTF_8);
    }

    private String qemu(String aio) throws IOException, InterruptedException {
        BundledGuest guest = ServiceLoader.load(BundledGuest.class).findFirst().orElseThrow();
        Path initrd = GuestInitrd.withCommand(guest, List.of("sh", "-c", script()));
        List<String> command = QemuMicrovm.command(
                guest,
                initrd,
                "",
                List.of(
                        "-object",
                        "iothread,id=io",
                        "-drive",
                        "id=b,if=none,format=raw,readonly=on,file=" + folder.resolve("tools.img"),
                        "-device",
                        "virtio-blk-device,drive=b",
                        "-drive",
                        "id=a,if=none,format=raw,cache=none,aio=" + aio + ",file=" + folder.resolve("disk.img"),
                        "-device",
                        "virtio-blk-device,drive=a,iothread=io"));
        Process process = new ProcessBuilder(command)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectErrorStream(true)
                .start();
        StringBuilder output = new StringBuilder();
        try (BufferedReader reader = process.inputReader(StandardCharsets.ISO_8859_1)) {
            for (String line = reader.readLine(); line != null && !line.contains(END); line = reader.readLine()) {
                output.append(line).append('\n');
            }
        } finally {
            process.destroyForcibly();
            int _ = process.waitFor();
            Files.delete(initrd);
        }
        return output.toString();
    }

    private void take(String machine, String output) {
        Map<Line, List<Double>> series = results.computeIfAbsent(machine, _ -> new LinkedHashMap<>());
        int found = 0;
        for (String text : output.lines().toList()) {
            Optional<Fio.Result> result = Fio.parse(text);
            if (result.isPresent()) {
                series.computeIfAbsent(Line.valueOf(result.get().name()), _ -> new ArrayList<>())
                        .add(result.get().operations());
                found++;
            }
        }
        if (found != Line.values().length) {
            throw new IllegalStateException(machine + " gave " + found + " results:\n" + output);
        }
    }

    private void report() {
        System.out.println("operations a second: median (least .. most)");
        for (Line line : Line.values()) {
            System.out.println(line.title);
            double ours = Series.median(results.get(OURS).get(line));
            double best = 0;
            for (Map.Entry<String, Map<Line, List<Double>>> machine : results.entrySet()) {
                List<Double> sorted =
                        machine.getValue().get(line).stream().sorted().toList();
                double median = Series.median(sorted);
                best = machine.getKey().equals(OURS) ? best : Math.max(best, median);
                System.out.printf(
                        Locale.ROOT,
                        "  %-12s %9.0f (%.0f .. %.0f)%n",
                        machine.getKey(),
                        median,
                        sorted.getFirst(),
                        sorted.getLast());
            }
            System.out.printf(Locale.ROOT, "  thimble / best of QEMU: %.2f%n", ours / best);
        }
    }
}
