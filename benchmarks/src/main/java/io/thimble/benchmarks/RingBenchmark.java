package io.thimble.benchmarks;

import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.PackedVirtqueue;
import io.thimble.virtio.queue.SplitVirtqueue;
import io.thimble.virtio.queue.Virtqueue;
import io.thimble.virtio.queue.VirtqueueState;
import io.thimble.virtio.testing.MockMemory;
import io.thimble.virtio.testing.MockPackedQueue;
import io.thimble.virtio.testing.MockQueue;
import io.thimble.virtio.testing.MockQueue.Piece;
import io.thimble.virtio.testing.MockSplitQueue;
import io.thimble.vmm.Disk;
import io.thimble.vmm.MicroVm;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Split against packed virtqueues: the device's side alone, then fio in a guest. Arguments: folder with {@code disk.img} and
 * {@code tools.img}, rounds, seconds for each measurement.
 */
final class RingBenchmark {
    private static final Duration LIMIT = Duration.ofMinutes(5);
    private static final int QUEUE = 256;
    private static final int BATCH = 64;
    private static final int BATCHES = 20_000;

    /** The formats. */
    private enum Format {
        SPLIT,
        PACKED
    }

    /** What fio does in the guest. */
    private enum Line {
        READ_1("4 KiB random read, depth 1", "randread", 1),
        READ_32("4 KiB random read, depth 32", "randread", 32),
        WRITE_32("4 KiB random write, depth 32", "randwrite", 32);

        final String title;
        final String pattern;
        final int depth;

        Line(String title, String pattern, int depth) {
            this.title = title;
            this.pattern = pattern;
            this.depth = depth;
        }
    }

    private RingBenchmark() {}

    /** Runs the benchmark. */
    public static void main(String[] arguments) throws InterruptedException {
        Path folder = Path.of(arguments[0]);
        int rounds = Integer.parseInt(arguments[1]);
        int seconds = Integer.parseInt(arguments[2]);
        deviceSide(rounds);
        Map<Line, Map<Format, List<Double>>> results = new EnumMap<>(Line.class);
        for (int round = 0; round < rounds; round++) {
            for (Format format : Format.values()) {
                take(results, format, guest(folder, format, seconds));
            }
            System.err.printf(Locale.ROOT, "round %d of %d%n", round + 1, rounds);
        }
        for (Line line : Line.values()) {
            report(line.title + ", operations a second", results.get(line));
        }
    }

    /** How long the device takes for a buffer: pop, addUsed, and once a batch needsInterrupt and enableNotifications. */
    private static void deviceSide(int rounds) {
        for (boolean indirect : new boolean[] {false, true}) {
            Map<Format, List<Double>> nanos = new EnumMap<>(Format.class);
            for (int round = -2; round < rounds; round++) { // two to warm up
                for (Format format : Format.values()) {
                    double each = nanosForEach(format, indirect);
                    if (round >= 0) {
                        nanos.computeIfAbsent(format, _ -> new ArrayList<>()).add(each);
                    }
                }
            }
            report("device's side, 3 pieces, " + (indirect ? "indirect" : "direct") + ", nanoseconds a buffer", nanos);
        }
    }

    private static double nanosForEach(Format format, boolean indirect) {
        MockMemory places = new MockMemory(1 << 20);
        boolean packed = format == Format.PACKED;
        MockQueue driver = packed ? new MockPackedQueue(places, QUEUE) : new MockSplitQueue(places, QUEUE);
        VirtqueueState state =
                VirtqueueState.ofNew(QUEUE, driver.descriptors(), driver.driver(), driver.device(), packed);
        Virtqueue device = packed
                ? new PackedVirtqueue(places.memory(), state, true, true)
                : new SplitVirtqueue(places.memory(), state, true, true);
        DescriptorChain chain = new DescriptorChain(places.memory());
        Piece[] pieces = {Piece.readable(4096, 16), Piece.writable(8192, 4096), Piece.writable(16, 1)};
        long table = 0;
        if (indirect) {
            table = places.allocate(48, 16);
            for (int i = 0; i < pieces.length; i++) {
                boolean last = i == pieces.length - 1;
                int flags = (pieces[i].writable() ? 2 : 0) | (last || packed ? 0 : 1);
                places.memory().putLong(table + 16L * i, pieces[i].address());
                places.memory().putInt(table + 16L * i + 8, pieces[i].length());
                places.memory().putInt(table + 16L * i + 12, packed ? flags << 16 : flags | (i + 1) << 16);
            }
        }
        long spent = 0;
        for (int batch = 0; batch < BATCHES; batch++) {
            for (int i = 0; i < BATCH; i++) {
                int _ = indirect ? driver.addRaw(table, 48, 4) : driver.add(pieces);
            }
            driver.wantInterruptAt(0);
            long begin = System.nanoTime();
            while (device.pop(chain)) {
                device.addUsed(chain, 4097);
            }
            boolean _ = device.needsInterrupt();
            boolean _ = device.enableNotifications();
            spent += System.nanoTime() - begin;
            for (int i = 0; i < BATCH; i++) {
                driver.takeUsed();
            }
        }
        return (double) spent / BATCHES / BATCH;
    }

    private static String guest(Path folder, Format format, int seconds) throws InterruptedException {
        StringBuilder script =
                new StringBuilder("mkdir -p /tools; mount -t ext4 -o ro /dev/vdb /tools || exit 1; cut -c35"
                        + " /sys/class/block/vda/device/features; ");
        for (Line line : Line.values()) {
            script.append(Fio.command(line.name(), "/dev/vda", line.pattern, "4k", line.depth, seconds));
        }
        ByteArrayOutputStream console = new ByteArrayOutputStream();
        try (MicroVm vm = MicroVm.builder()
                .packedRings(format == Format.PACKED)
                .disk(Disk.of(folder.resolve("disk.img")))
                .disk(Disk.of(folder.resolve("tools.img")).readOnly(true))
                .console(console)
                .command("sh", "-c", script.toString())
                .start()) {
            if (vm.await(LIMIT).isEmpty()) {
                throw new IllegalStateException("no end: " + console.toString(StandardCharsets.UTF_8));
            }
        }
        String output = console.toString(StandardCharsets.UTF_8);
        if (output.lines().noneMatch(format == Format.PACKED ? "1"::equals : "0"::equals)) {
            throw new IllegalStateException("the guest did not negotiate " + format + ": " + output);
        }
        return output;
    }

    private static void take(Map<Line, Map<Format, List<Double>>> results, Format format, String output) {
        output.lines()
                .flatMap(text -> Fio.parse(text).stream())
                .forEach(
                        result -> results.computeIfAbsent(Line.valueOf(result.name()), _ -> new EnumMap<>(Format.class))
                                .computeIfAbsent(format, _ -> new ArrayList<>())
                                .add(result.operations()));
    }

    private static void report(String title, Map<Format, List<Double>> values) {
        System.out.println(title + ": median (least .. most)");
        for (Format format : Format.values()) {
            List<Double> sorted = values.get(format).stream().sorted().toList();
            System.out.printf(
                    Locale.ROOT,
                    "  %-7s %10.1f (%.1f .. %.1f)%n",
                    format.name().toLowerCase(Locale.ROOT),
                    Series.median(sorted),
                    sorted.getFirst(),
                    sorted.getLast());
        }
        System.out.printf(
                Locale.ROOT,
                "  packed / split: %.2f%n",
                Series.median(values.get(Format.PACKED)) / Series.median(values.get(Format.SPLIT)));
    }
}
