package io.thimble.benchmarks;

import io.thimble.vmm.agent.CommandSegment;
import io.thimble.vmm.spi.BundledGuest;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.ServiceLoader;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The network over one TAP, in a namespace of its own: QEMU's microvm and the launcher in turn, with the same kernel, initial RAM
 * disk and TAP. iperf3 runs its server in the guest.
 */
public final class NetBenchmark {
    private static final String SPACE = "thimble-bench";
    private static final String GUEST = "192.0.2.2";
    private static final String ADDRESS = "ip=192.0.2.2::192.0.2.1:255.255.255.0::eth0:off:";
    private static final List<String> COMMAND = List.of("iperf3", "-s");
    private static final String SECONDS = "4";
    private static final Pattern RATE = Pattern.compile("([0-9.]+) Gbits/sec.*receiver");
    private static final Pattern DATAGRAMS = Pattern.compile("(\\d+)/(\\d+) \\([^)]*\\)\\s+receiver");
    private static final Pattern RTT = Pattern.compile("= [0-9.]+/([0-9.]+)/");

    /** What is measured: how, and in which unit; more is better but for latency. */
    private static final Map<String, List<String>> LINES = new LinkedHashMap<>();

    static {
        LINES.put("out of the guest, 1 stream, Gb/s", iperf("-R"));
        LINES.put("into the guest, 1 stream, Gb/s", iperf());
        LINES.put("out of the guest, 4 streams, Gb/s", iperf("-R", "-P", "4"));
        LINES.put("into the guest, 4 streams, Gb/s", iperf("-P", "4"));
        LINES.put("out of the guest, 64-byte UDP, k/s", iperf("-R", "-u", "-b", "0", "-l", "64"));
        LINES.put("into the guest, 64-byte UDP, k/s", iperf("-u", "-b", "0", "-l", "64"));
        LINES.put("ping, ms", List.of("ping", "-q", "-c", "500", "-i", "0.002", GUEST));
    }

    private NetBenchmark() {}

    private static List<String> iperf(String... more) {
        List<String> command =
                new ArrayList<>(List.of("timeout", "30", "iperf3", "-c", GUEST, "-t", SECONDS, "-f", "g"));
        command.addAll(List.of(more));
        return command;
    }

    /** Takes the project's root folder and the number of rounds. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        Path root = Path.of(arguments[0]);
        int rounds = Integer.parseInt(arguments[1]);
        BundledGuest guest = ServiceLoader.load(BundledGuest.class).findFirst().orElseThrow();
        Path plain = Files.createTempFile("benchmark", ".cpio");
        Path withCommand = Files.createTempFile("benchmark", ".cpio");
        Shell.check("ip", "netns", "add", SPACE);
        try {
            Shell.check("ip", "-n", SPACE, "tuntap", "add", "dev", "tap0", "mode", "tap", "vnet_hdr");
            Shell.check("ip", "-n", SPACE, "addr", "add", "192.0.2.1/24", "dev", "tap0");
            Shell.check("ip", "-n", SPACE, "link", "set", "tap0", "up");
            writeInitrds(guest, plain, withCommand);
            measure(qemu(guest, withCommand), thimble(root, plain), rounds);
        } finally {
            Shell.check("ip", "netns", "delete", SPACE);
            Files.delete(plain);
            Files.delete(withCommand);
        }
    }

    private static void writeInitrds(BundledGuest guest, Path plain, Path withCommand)
            throws IOException, InterruptedException {
        Files.copy(guest.initrd(), plain, StandardCopyOption.REPLACE_EXISTING);
        String pack = "f=$(ldd $(command -v iperf3) | grep -o '/[^ ]*'; command -v iperf3); cd /;"
                + " truncate -s %4 \"$0\"; for p in $f; do d=$(dirname $p); while [ $d != / ]; do echo .$d; d=$(dirname $d); done;"
                + " done | sort -u > \"$0.list\"; for p in $f; do echo .$p; done >> \"$0.list\";"
                + " cpio -o -L -H newc < \"$0.list\" >> \"$0\" 2>/dev/null; rm \"$0.list\"; truncate -s %4 \"$0\"";
        Shell.check("sh", "-c", pack, plain.toString());
        try (OutputStream out = Files.newOutputStream(withCommand)) {
            Files.copy(plain, out);
            out.write(CommandSegment.of(COMMAND).toBytes());
        }
    }

    private static List<String> inSpace(List<String> command) {
        List<String> all = new ArrayList<>(List.of("ip", "netns", "exec", SPACE));
        all.addAll(command);
        return all;
    }

    private static List<String> qemu(BundledGuest guest, Path initrd) throws IOException {
        return inSpace(QemuMicrovm.command(
                guest,
                initrd,
                ADDRESS,
                List.of(
                        "-netdev",
                        "tap,id=n,ifname=tap0,script=no,downscript=no",
                        "-device",
                        "virtio-net-device,netdev=n")));
    }

    private static List<String> thimble(Path root, Path initrd) {
        List<String> command = new ArrayList<>(List.of(
                root.resolve("thimble").toString(),
                "run",
                "--initrd",
                initrd.toString(),
                "--net",
                "tap=tap0,ip=" + GUEST + "/24",
                "--"));
        command.addAll(COMMAND);
        return inSpace(command);
    }

    private static void measure(List<String> qemu, List<String> thimble, int rounds)
            throws IOException, InterruptedException {
        Map<String, List<Double>> ofQemu = new LinkedHashMap<>();
        Map<String, List<Double>> ofThimble = new LinkedHashMap<>();
        for (int i = 0; i < rounds; i++) {
            if (i % 2 == 0) {
                round(qemu, ofQemu);
                round(thimble, ofThimble);
            } else {
                round(thimble, ofThimble);
                round(qemu, ofQemu);
            }
        }
        System.out.println(rounds + " rounds, interleaved: median (least .. most), and the ratio to QEMU");
        for (String line : LINES.keySet()) {
            List<Double> base = ofQemu.getOrDefault(line, List.of());
            List<Double> ours = ofThimble.getOrDefault(line, List.of());
            System.out.printf(
                    Locale.ROOT,
                    "%-36s QEMU %s   Thimble %s   ratio %.2f%n",
                    line,
                    text(base),
                    text(ours),
                    Series.median(ours) / Series.median(base));
        }
    }

    private static String text(List<Double> values) {
        return values.isEmpty()
                ? "-"
                : String.format(
                        Locale.ROOT,
                        "%8.3f (%.3f .. %.3f)",
                        Series.median(values),
                        Collections.min(values),
                        Collections.max(values));
    }

    /** One VM: starts it, measures everything once, and kills it. */
    private static void round(List<String> vm, Map<String, List<Double>> results)
            throws IOException, InterruptedException {
        Path log = Files.createTempFile("benchmark", ".log");
        Process process = new ProcessBuilder(vm)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            awaitServer(process, log);
            for (Map.Entry<String, List<String>> line : LINES.entrySet()) {
                value(Shell.run(inSpace(line.getValue())))
                        .ifPresent(value -> results.computeIfAbsent(line.getKey(), _ -> new ArrayList<>())
                                .add(value));
            }
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
            process.waitFor();
            Files.delete(log);
        }
    }

    private static void awaitServer(Process process, Path log) throws IOException, InterruptedException {
        List<String> probe = inSpace(List.of("timeout", "5", "iperf3", "-c", GUEST, "-t", "1"));
        for (int i = 0; i < 100; i++) {
            if (Shell.run(probe).contains("receiver")) {
                return;
            }
            if (!process.isAlive()) {
                throw new IllegalStateException("the VM has ended: " + Files.readString(log));
            }
            Thread.sleep(100);
        }
        throw new IllegalStateException("no server in the guest: " + Files.readString(log));
    }

    private static OptionalDouble value(String output) {
        Matcher rtt = RTT.matcher(output);
        if (rtt.find()) {
            return OptionalDouble.of(Double.parseDouble(rtt.group(1)));
        }
        Matcher datagrams = DATAGRAMS.matcher(output);
        if (datagrams.find()) {
            double lost = Double.parseDouble(datagrams.group(1));
            double all = Double.parseDouble(datagrams.group(2));
            return OptionalDouble.of((all - lost) / Double.parseDouble(SECONDS) / 1000);
        }
        OptionalDouble last = OptionalDouble.empty(); // with several streams, the sum comes last
        for (Matcher rate = RATE.matcher(output); rate.find(); ) {
            last = OptionalDouble.of(Double.parseDouble(rate.group(1)));
        }
        return last;
    }
}
