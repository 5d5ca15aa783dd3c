package io.thimble.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes of memory as people write them: {@code 256M}, {@code 1G}, {@code 512MiB}, {@code 1.5GiB}. */
final class Sizes {
    private static final Pattern SIZE = Pattern.compile("(\\d{1,15})(?:\\.(\\d{1,3}))?([KMGT])?(?:I?B)?");
    private static final String UNITS = "KMGT";
    private static final int UNIT_SHIFT = 10;
    private static final long THOUSAND = 1000;

    private Sizes() {}

    /**
     * Reads a size. Units are powers of 1024 whether written K, KB or KiB, in either case, as QEMU and Docker take them; a
     * number without a unit is in MiB.
     *
     * @return bytes
     * @throws UsageException if it is none, or above 2^63
     */
    static long parse(String option, String text) {
        Matcher matcher = SIZE.matcher(text.toUpperCase(Locale.ROOT));
        if (!matcher.matches() || (matcher.group(3) == null && text.matches(".*[bB]"))) {
            throw wrong(option, text);
        }
        String unit = matcher.group(3) == null ? "M" : matcher.group(3);
        int shift = UNIT_SHIFT * (UNITS.indexOf(unit) + 1);
        try {
            long whole = Math.multiplyExact(Long.parseLong(matcher.group(1)), 1L << shift);
            return Math.addExact(whole, fraction(matcher.group(2), shift));
        } catch (ArithmeticException _) {
            throw wrong(option, text);
        }
    }

    private static long fraction(String digits, int shift) {
        if (digits == null) {
            return 0;
        }
        long thousandths = Long.parseLong((digits + "00").substring(0, 3));
        return (1L << shift) * thousandths / THOUSAND;
    }

    private static UsageException wrong(String option, String text) {
        return new UsageException(option + " " + text + ": not a size; write it like 256M, 512MiB or 1G");
    }
}
