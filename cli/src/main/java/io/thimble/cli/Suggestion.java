package io.thimble.cli;

import java.util.Collection;

/** Finds what somebody may have meant. */
final class Suggestion {
    private static final int MOST_ERRORS = 2;

    private Suggestion() {}

    /** Returns {@code " (did you mean X?)"} for the candidate most like {@code word}, or nothing if none is like it. */
    static String among(String word, Collection<String> candidates) {
        String best = "";
        int fewest = MOST_ERRORS + 1;
        for (String candidate : candidates) {
            int errors = candidate.startsWith(word) && word.length() > 3 ? 1 : distance(word, candidate);
            boolean better = errors < fewest || (errors == fewest && candidate.compareTo(best) < 0);
            if (better && errors < candidate.length() - 2) {
                fewest = errors;
                best = candidate;
            }
        }
        return best.isEmpty() ? "" : " (did you mean " + best + "?)";
    }

    /** Levenshtein distance. */
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[b.length()];
    }
}
