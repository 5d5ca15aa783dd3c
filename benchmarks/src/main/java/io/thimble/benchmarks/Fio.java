package io.thimble.benchmarks;

import java.util.Locale;
import java.util.Optional;

/** fio (fio(1)) in a guest, from the disk that {@code benchmarks/tools-disk} makes, mounted at {@code /tools}. */
final class Fio {
    private static final String RESULT = "RESULT ";

    private Fio() {}

    /**
     * What a line of the guest's output says.
     *
     * @param name of the measurement
     * @param operations a second
     */
    record Result(String name, double operations) {}

    /**
     * Returns the shell's words that measure and print a line for {@link #parse}.
     *
     * @param name of the measurement, one word
     * @param device that is read or written, directly
     * @param pattern fio's {@code --rw}
     * @param block fio's {@code --bs}
     * @param depth how many requests are under way
     */
    static String command(String name, String device, String pattern, String block, int depth, int seconds) {
        // Terse format 3: field 8 is the reads' IOPS, 49 the writes'.
        return String.format(
                Locale.ROOT,
                "echo \"%s%s $(/tools/ld.so --library-path /tools /tools/fio --name=b --filename=%s --rw=%s --bs=%s"
                        + " --iodepth=%d --ioengine=libaio --direct=1 --time_based --runtime=%d --ramp_time=1"
                        + " --randrepeat=0 --norandommap --minimal | cut -d';' -f8,49)\"; ",
                RESULT,
                name,
                device,
                pattern,
                block,
                depth,
                seconds);
    }

    /** Reads a line of the guest's output; empty if it is another's, or incomplete. */
    static Optional<Result> parse(String line) {
        int at = line.indexOf(RESULT);
        String[] words = at < 0
                ? new String[0]
                : line.substring(at + RESULT.length()).strip().split("[ ;]", -1);
        return words.length == 3
                ? Optional.of(new Result(words[0], Double.parseDouble(words[1]) + Double.parseDouble(words[2])))
                : Optional.empty();
    }
}
