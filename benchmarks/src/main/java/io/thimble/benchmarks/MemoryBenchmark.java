package io.thimble.benchmarks;

import io.thimble.vmm.Balloon;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import io.thimble.vmm.Network;
import io.thimble.vmm.NetworkSwitch;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The resident memory of a JVM with VMs that idle at a shell, without the pages of the guests themselves: the base (with the first
 * VM), and the cost of one more, with fewer and with more devices. Run by {@code benchmarks/memory}.
 */
public final class MemoryBenchmark {
    private static final long MEMORY = 128L << 20;
    private static final long DISK = 64L << 20;

    private static final Pattern RSS = Pattern.compile("^Rss: +(\\d+) kB");

    /** Guest memory is what is not to be dumped ({@code MADV_DONTDUMP}) and anonymous; vCPU pages are shared files. */
    private static final Pattern GUEST_FLAGS = Pattern.compile("^VmFlags: rd wr mr mw me .*\\bdd\\b.*");

    private final Path folder;
    private final int count;
    private int made;

    private MemoryBenchmark(Path folder, int count) {
        this.folder = folder;
        this.count = count;
    }

    /** Takes the number of VMs, and which devices they have: none beyond what each VM has, disks, or all. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        Path folder = Files.createTempDirectory("benchmark");
        NetworkSwitch network = NetworkSwitch.create("benchmark");
        try {
            MemoryBenchmark benchmark = new MemoryBenchmark(folder, Integer.parseInt(arguments[0]));
            switch (arguments[1]) {
                case "none" -> benchmark.measure("as it is", builder -> {});
                case "disks" -> benchmark.measure("two disks, vsock's socket", benchmark::addDisks);
                default ->
                    benchmark.measure("the same, network, balloon", builder -> {
                        benchmark.addDisks(builder);
                        builder.network(Network.on(network)).balloon(Balloon.create());
                    });
            }
        } finally {
            try (Stream<Path> files = Files.list(folder)) {
                for (Path file : files.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        }
    }

    private void addDisks(MicroVmBuilder builder) {
        int n = made++;
        builder.disk(image(n + "a")).disk(image(n + "b")).vsockSocket(folder.resolve(n + ".vsock"));
    }

    private Path image(String name) {
        Path path = folder.resolve(name);
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(DISK);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return path;
    }

    private void measure(String name, Consumer<MicroVmBuilder> devices) throws IOException, InterruptedException {
        List<MicroVm> vms = new ArrayList<>();
        try {
            vms.add(startIdleVm(devices));
            long first = residentWithoutGuests();
            for (int i = 1; i < count; i++) {
                vms.add(startIdleVm(devices));
            }
            long all = residentWithoutGuests();
            System.out.printf(
                    Locale.ROOT,
                    "%-28s JVM with one idle VM %6.1f MiB, with %d %6.1f MiB; one more %5.2f MiB%n",
                    name,
                    first / 1024.0,
                    count,
                    all / 1024.0,
                    (all - first) / 1024.0 / (count - 1));
        } finally {
            vms.forEach(MicroVm::close);
        }
    }

    private static MicroVm startIdleVm(Consumer<MicroVmBuilder> devices) throws InterruptedException {
        MicroVmBuilder builder = MicroVm.builder().memory(MEMORY).hugePages(false);
        devices.accept(builder);
        MicroVm vm = builder.start();
        if (!vm.awaitReady(Duration.ofSeconds(60))) {
            vm.close();
            throw new IllegalStateException("the guest's shell did not start");
        }
        return vm;
    }

    /** Returns KiB. */
    private static long residentWithoutGuests() throws IOException {
        long total = 0;
        long mapping = 0;
        long guests = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
            Matcher rss = RSS.matcher(line);
            if (rss.lookingAt()) {
                mapping = Long.parseLong(rss.group(1));
                total += mapping;
            } else if (GUEST_FLAGS.matcher(line).matches()) {
                total -= mapping;
                guests++;
            }
        }
        if (guests == 0) {
            throw new IllegalStateException("no mapping of guest memory found");
        }
        return total;
    }
}
