package io.thimble.cli;

import io.thimble.vmm.Timeline;
import io.thimble.vmm.VmStatistics;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Where the time went since the launcher's script began. The script notes two times in system properties, as {@code
 * $EPOCHREALTIME} has them; without them (a start of the JVM by hand) the list begins with {@code main}.
 */
final class BootTimeline {
    /** When the script began. */
    static final String SCRIPT_STARTED = "thimble.script.started";

    /** When the script handed over to the JVM. */
    static final String JVM_STARTED = "thimble.jvm.started";

    private static final double NANOS_PER_MILLI = 1e6;
    private static final long NANOS_PER_MICRO = 1000;

    private record Event(String name, long nanoTime) {}

    private BootTimeline() {}

    /**
     * Returns one line an event: when it was since the beginning, how long since the event before, and its name.
     *
     * @param startCalled {@link System#nanoTime} when the VM's start was called
     * @param vm what the VM noted since then
     * @param firstOutput {@link System#nanoTime} at the console's first byte, 0 if there was none
     */
    static String text(long startCalled, Timeline vm, long firstOutput) {
        List<Event> events = new ArrayList<>();
        long script = nanoTimeOf(System.getProperty(SCRIPT_STARTED, ""));
        long jvm = nanoTimeOf(System.getProperty(JVM_STARTED, ""));
        long begin = script != 0 ? script : Main.ENTERED;
        if (script != 0 && jvm != 0) {
            events.add(new Event("launcher's script", jvm));
        }
        events.add(new Event("JVM: main entered", Main.ENTERED));
        events.add(new Event("options read, set-up begins", startCalled));
        vm.marks()
                .forEach(mark -> events.add(
                        new Event(mark.name(), startCalled + mark.at().toNanos())));
        if (firstOutput != 0) {
            events.add(new Event("first output of the guest", firstOutput));
        }
        events.sort((a, b) -> Long.compare(a.nanoTime - b.nanoTime, 0));
        return render(events, begin);
    }

    /** Returns one line each: set-up time, time in KVM_RUN, exits by reason, the most frequent first. */
    static String costs(Timeline vm, VmStatistics statistics) {
        StringBuilder text = new StringBuilder();
        vm.at(Timeline.FIRST_RUN)
                .ifPresent(setUp -> text.append(
                        String.format(Locale.ROOT, "thimble: set-up %.1f ms%n", setUp.toNanos() / NANOS_PER_MILLI)));
        text.append("thimble: in KVM_RUN")
                .append(statistics.inKvmRun().stream()
                        .map(time -> String.format(Locale.ROOT, " %.1f", time.toNanos() / NANOS_PER_MILLI))
                        .collect(Collectors.joining(",")))
                .append(statistics.inKvmRun().size() > 1 ? " ms, by vCPU" : " ms")
                .append(System.lineSeparator());
        text.append("thimble: ").append(statistics.totalExits()).append(" exits:");
        statistics.exits().entrySet().stream()
                .sorted(Map.Entry.<String, Long>comparingByValue().reversed().thenComparing(Map.Entry.comparingByKey()))
                .forEach(exit ->
                        text.append(' ').append(exit.getKey()).append(' ').append(exit.getValue()));
        return text.append("; interrupted by the host ")
                .append(statistics.interrupted())
                .append(System.lineSeparator())
                .toString();
    }

    private static String render(List<Event> events, long begin) {
        StringBuilder text = new StringBuilder(
                "thimble: where the time went (milliseconds since the start, and since the line above)\n");
        long before = begin;
        for (Event event : events) {
            text.append(String.format(
                    Locale.ROOT,
                    "%10.1f %9.1f  %s%n",
                    (event.nanoTime - begin) / NANOS_PER_MILLI,
                    (event.nanoTime - before) / NANOS_PER_MILLI,
                    event.name));
            before = event.nanoTime;
        }
        return text.toString();
    }

    /** Turns seconds since the epoch with six decimals into the time of {@link System#nanoTime}; 0 for anything else. */
    private static long nanoTimeOf(String epochRealtime) {
        if (!epochRealtime.matches("\\d{1,12}[.,]\\d{6}")) {
            return 0;
        }
        long micros = Long.parseLong(epochRealtime.replaceAll("[.,]", ""));
        java.time.Instant now = java.time.Instant.now();
        long nowMicros = now.getEpochSecond() * 1_000_000 + now.getNano() / NANOS_PER_MICRO;
        return System.nanoTime() - (nowMicros - micros) * NANOS_PER_MICRO;
    }
}
