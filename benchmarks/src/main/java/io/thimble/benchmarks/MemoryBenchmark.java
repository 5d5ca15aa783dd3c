package io.thimble.benchmarks;

import io.thimble.vmm.MicroVm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The resident memory of a JVM with VMs that idle at a shell, without the pages of the guests themselves: the base (with the first
 * VM), and the cost of one more. Run by {@code benchmarks/memory}.
 */
public final class MemoryBenchmark {
    private static final long MEMORY = 128L << 20;

    private static final Pattern RSS = Pattern.compile("^Rss: +(\\d+) kB");

    /** Guest memory is what is not to be dumped ({@code MADV_DONTDUMP}) and anonymous; vCPU pages are shared files. */
    private static final Pattern GUEST_FLAGS = Pattern.compile("^VmFlags: rd wr mr mw me .*\\bdd\\b.*");

    private MemoryBenchmark() {}

    /** Takes the number of VMs. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        int count = Integer.parseInt(arguments[0]);
        List<MicroVm> vms = new ArrayList<>();
        try {
            startIdleVm(vms);
            long first = residentWithoutGuests();
            System.out.printf(Locale.ROOT, "base: JVM with one idle VM            %6.1f MiB%n", first / 1024.0);
            for (int i = 1; i < count; i++) {
                startIdleVm(vms);
            }
            long all = residentWithoutGuests();
            System.out.printf(Locale.ROOT, "with %3d idle VMs                      %6.1f MiB%n", count, all / 1024.0);
            System.out.printf(
                    Locale.ROOT,
                    "one more idle VM                       %6.2f MiB%n",
                    (all - first) / 1024.0 / (count - 1));
        } finally {
            vms.forEach(MicroVm::close);
        }
    }

    private static void startIdleVm(List<MicroVm> vms) throws InterruptedException {
        MicroVm vm = MicroVm.builder().memory(MEMORY).hugePages(false).start();
        vms.add(vm);
        if (!vm.awaitReady(Duration.ofSeconds(60))) {
            throw new IllegalStateException("the guest's shell did not start");
        }
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
