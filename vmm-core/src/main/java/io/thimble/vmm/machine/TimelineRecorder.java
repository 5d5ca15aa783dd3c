package io.thimble.vmm.machine;

import io.thimble.vmm.Timeline;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Notes when things happened since the start. Any thread. */
final class TimelineRecorder {
    private final List<Timeline.Mark> marks = new ArrayList<>(); // guarded by itself
    private volatile long start = System.nanoTime();

    /** Makes now the start. */
    void begin() {
        start = System.nanoTime();
    }

    void mark(String name) {
        Timeline.Mark mark = new Timeline.Mark(name, Duration.ofNanos(System.nanoTime() - start));
        synchronized (marks) {
            marks.add(mark);
        }
    }

    Timeline timeline() {
        synchronized (marks) {
            return new Timeline(marks);
        }
    }
}
