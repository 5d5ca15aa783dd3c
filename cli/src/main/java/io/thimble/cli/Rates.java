package io.thimble.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Counts and rates as people write them: {@code 500}, {@code 20k}, {@code 1M}; {@code 100M/s}, {@code 2MiB}. */
final class Rates {
    private static final Pattern COUNT = Pattern.compile("(\\d{1,12})([KM])?");

    private Rates() {}

    /**
     * Reads a number of bytes a second, as {@link Sizes} reads a size; {@code /s} may follow.
     *
     * @throws UsageException if it is none
     */
    static long bytes(String option, String value) {
        return Sizes.parse(option, withoutPerSecond(value));
    }

    /**
     * Reads a number of things a second; {@code /s} may follow.
     *
     * @throws UsageException if it is none
     */
    static long perSecond(String option, String value) {
        return count(option, withoutPerSecond(value));
    }

    /**
     * Reads a number, in thousands or millions perhaps.
     *
     * @throws UsageException if it is none
     */
    static long count(String option, String value) {
        Matcher matcher = COUNT.matcher(value.toUpperCase(Locale.ROOT));
        if (!matcher.matches()) {
            throw new UsageException(option + "=" + value + ": write a number like 500, 20k or 1M");
        }
        long number = Long.parseLong(matcher.group(1));
        String unit = matcher.group(2);
        if (unit == null) {
            return number;
        }
        return number * (unit.equals("K") ? 1000 : 1_000_000);
    }

    private static String withoutPerSecond(String value) {
        return value.endsWith("/s") ? value.substring(0, value.length() - 2) : value;
    }
}
