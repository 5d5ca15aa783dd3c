package io.thimble.vmm.legacy;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;

/**
 * Remembers the last characters that passed to another output, for the report of a crash. Every method may be called
 * from any thread; nothing blocks.
 */
public final class ConsoleTail implements SerialOutput {
    private final SerialOutput next;
    private final ByteRing tail;

    /**
     * Makes an output that passes everything on.
     *
     * @param next where characters go; one that it refuses is not remembered until it is accepted
     * @param capacity how many characters are remembered, at least 1
     */
    public ConsoleTail(SerialOutput next, int capacity) {
        this.next = next;
        this.tail = new ByteRing(capacity);
    }

    @Override
    public boolean offer(byte value) {
        if (!next.offer(value)) {
            return false;
        }
        synchronized (tail) {
            if (tail.isFull()) {
                tail.take();
            }
            tail.put(value);
        }
        return true;
    }

    @Override
    public int offer(byte[] bytes, int offset, int length) {
        int taken = next.offer(bytes, offset, length);
        synchronized (tail) {
            int kept = Math.min(taken, tail.capacity());
            tail.discard(Math.max(0, tail.size() + kept - tail.capacity()));
            int _ = tail.put(bytes, offset + taken - kept, kept);
        }
        return taken;
    }

    @Override
    public boolean awaitRoom(Duration deadline) {
        return next.awaitRoom(deadline);
    }

    @Override
    public void onRoom(Runnable callback) {
        next.onRoom(callback);
    }

    /** Returns the remembered characters, oldest first. */
    public byte[] bytes() {
        synchronized (tail) {
            byte[] copy = new byte[tail.size()];
            tail.copy(copy);
            return copy;
        }
    }

    /**
     * Returns the last lines as text fit for a log or a terminal: read as UTF-8, control characters other than tabs
     * replaced by {@code ?}, since the guest chose them.
     *
     * @param count at most so many, 0 or more; an unfinished line counts, and the oldest may have lost its beginning
     */
    public List<String> lastLines(int count) {
        List<String> lines = new String(bytes(), StandardCharsets.UTF_8)
                .replace("\r", "")
                .lines()
                .map(line -> line.replaceAll("[\\p{Cc}&&[^\\t]]", "?"))
                .toList();
        return lines.subList(Math.max(0, lines.size() - count), lines.size());
    }
}
