package io.thimble.benchmarks;

import io.thimble.vmm.Balloon;
import io.thimble.vmm.GuestBalloon;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.agent.CpioWriter;
import io.thimble.vmm.spi.BundledGuest;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * A program in the guest takes memory, page by page, and reads it by chance; then its memory goes back to the host in one of several
 * ways, and it does the same again. Arguments: the program, rounds.
 */
final class BalloonBenchmark {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final long MIB = 1 << 20;
    private static final long MEMORY = 512 * MIB;
    private static final long RELEASED = 320 * MIB;

    /** How memory goes back. */
    private enum Way {
        NOTHING("nothing goes back"),
        REPORTING("free pages are reported, 2 MiB at a time"),
        TARGET("the balloon takes 320 MiB by single pages, and gives them again");

        final String title;

        Way(String title) {
            this.title = title;
        }
    }

    /** What was measured: nanoseconds, and MiB in huge pages. */
    private record Result(double page, double read, double huge, double millis) {}

    private BalloonBenchmark() {}

    /** Runs the benchmark. */
    public static void main(String[] arguments) throws Exception {
        int rounds = Integer.parseInt(arguments[1]);
        Path initrd = Files.createTempFile("balloon", ".initrd");
        Map<Way, List<Result>> results = new EnumMap<>(Way.class);
        try {
            pack(Path.of(arguments[0]), initrd);
            for (int round = 0; round < rounds; round++) {
                for (Way way : Way.values()) {
                    results.computeIfAbsent(way, _ -> new ArrayList<>()).add(run(initrd, way));
                }
                System.err.printf(Locale.ROOT, "round %d of %d%n", round + 1, rounds);
            }
        } finally {
            Files.delete(initrd);
        }
        System.out.println(
                "median: ns to take a page, ns for a read by chance, MiB of the guest in huge pages, ms to give back");
        for (Way way : Way.values()) {
            List<Result> all = results.get(way);
            System.out.printf(
                    Locale.ROOT,
                    "%-66s %8.0f %8.1f %8.0f %8.0f%n",
                    way.title,
                    Series.median(all.stream().map(Result::page).toList()),
                    Series.median(all.stream().map(Result::read).toList()),
                    Series.median(all.stream().map(Result::huge).toList()),
                    Series.median(all.stream().map(Result::millis).toList()));
        }
    }

    private static void pack(Path program, Path initrd) throws IOException {
        BundledGuest guest = ServiceLoader.load(BundledGuest.class).findFirst().orElseThrow();
        try (OutputStream out = Files.newOutputStream(initrd)) {
            Files.copy(guest.initrd(), out);
            out.write(new byte[(int) (-Files.size(guest.initrd()) & 3)]);
            CpioWriter cpio = new CpioWriter(out);
            cpio.file("bin/touch-memory", 0755, Files.readAllBytes(program));
            cpio.finish();
        }
    }

    private static Result run(Path initrd, Way way) throws Exception {
        try (MicroVm vm = MicroVm.builder()
                .memory(MEMORY)
                .initrd(initrd)
                .balloon(new Balloon(way == Way.REPORTING))
                .idle()
                .start()) {
            String[] _ = touch(vm);
            long begin = System.nanoTime();
            giveBack(vm.balloon(), way);
            double millis = (System.nanoTime() - begin) / 1e6;
            String[] numbers = touch(vm);
            return new Result(
                    Double.parseDouble(numbers[1]), Double.parseDouble(numbers[2]), hugePages() / (double) MIB, millis);
        }
    }

    private static String[] touch(MicroVm vm) throws Exception {
        String output = vm.program("touch-memory", "384", "20000000").run().stdoutText();
        String[] words = output.strip().split(" ", -1);
        if (!words[0].equals("TOUCHED")) {
            throw new IllegalStateException(output);
        }
        return words;
    }

    private static void giveBack(GuestBalloon balloon, Way way) {
        switch (way) {
            case NOTHING -> {}
            case REPORTING -> await("reports", () -> balloon.released() >= RELEASED);
            case TARGET -> {
                balloon.setTarget(RELEASED);
                await("the balloon's growth", () -> balloon.actual() == RELEASED);
                balloon.setTarget(0);
                await("the balloon's end", () -> balloon.actual() == 0);
            }
        }
    }

    private static void await(String what, BooleanSupplier done) {
        long end = System.nanoTime() + LIMIT.toNanos();
        while (!done.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("no end of " + what);
            }
            LockSupport.parkNanos(1_000_000);
        }
    }

    /** How many bytes of guest memory, which is kept out of core dumps, are in huge pages. */
    private static long hugePages() throws IOException {
        long sum = 0;
        long huge = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
            if (line.startsWith("AnonHugePages:")) {
                huge = Long.parseLong(line.replaceAll("\\D", "")) << 10;
            } else if (line.startsWith("VmFlags:") && line.contains(" dd")) {
                sum += huge;
            }
        }
        return sum;
    }
}
