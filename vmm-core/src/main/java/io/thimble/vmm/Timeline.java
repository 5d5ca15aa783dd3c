package io.thimble.vmm;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Where the time went since {@link MicroVm#start} was called.
 *
 * @param marks what happened when, in order
 */
public record Timeline(List<Mark> marks) {
    /** The mark of the first {@code KVM_RUN}. */
    public static final String FIRST_RUN = "first KVM_RUN";

    /** The mark of the guest agent's first word: init runs. */
    public static final String AGENT = "guest agent";

    /**
     * One event.
     *
     * @param name what happened
     * @param at how long after the start
     */
    public record Mark(String name, Duration at) {}

    /** Copies the list. */
    public Timeline {
        marks = List.copyOf(marks);
    }

    /** Returns when the named event happened, if it did. */
    public Optional<Duration> at(String name) {
        return marks.stream().filter(m -> m.name().equals(name)).map(Mark::at).findFirst();
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        Duration before = Duration.ZERO;
        for (Mark mark : marks) {
            text.append("%9.3f ms  (+%.3f)  %s%n".formatted(millis(mark.at), millis(mark.at.minus(before)), mark.name));
            before = mark.at;
        }
        return text.toString();
    }

    private static double millis(Duration duration) {
        return duration.toNanos() / 1e6;
    }
}
