package io.thimble.benchmarks;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** Times of one thing, measured several times. */
final class Series {
    private final String name;
    private final List<Double> millis = new ArrayList<>();

    Series(String name) {
        this.name = name;
    }

    void add(long nanos) {
        millis.add(nanos / 1e6);
    }

    double median() {
        return median(millis);
    }

    /** Returns the value in the middle, or between the two there; not a number if there are none. */
    static double median(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        int n = sorted.size();
        return n == 0 ? Double.NaN : (sorted.get((n - 1) / 2) + sorted.get(n / 2)) / 2;
    }

    private List<Double> sorted() {
        List<Double> sorted = new ArrayList<>(millis);
        Collections.sort(sorted);
        return sorted;
    }

    /** Returns a line: name, median, least and most, and the ratio to {@code base}. */
    String line(Series base) {
        List<Double> sorted = sorted();
        return String.format(
                Locale.ROOT,
                "%-44s median %7.1f ms  (%7.1f .. %7.1f)  ratio %.2f",
                name,
                median(),
                sorted.getFirst(),
                sorted.getLast(),
                median() / base.median());
    }
}
