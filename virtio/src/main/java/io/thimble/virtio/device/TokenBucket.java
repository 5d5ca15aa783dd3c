package io.thimble.virtio.device;

/**
 * Lets a rate through, and a burst after silence. What is taken may exceed what is there: the debt is paid before the next
 * may go, so that a request larger than the burst is possible and the rate still holds. One thread at a time.
 */
final class TokenBucket {
    private static final long SECOND = 1_000_000_000L;

    private final long perSecond;
    private final long burst;
    private long tokens;
    private long filledAt;

    /**
     * Starts full.
     *
     * @param perSecond the rate; 0 for no limit
     * @param burst the most that silence saves up
     * @param now {@link System#nanoTime}
     */
    TokenBucket(long perSecond, long burst, long now) {
        this.perSecond = perSecond;
        this.burst = burst;
        this.tokens = burst;
        this.filledAt = now;
    }

    /** Returns how many nanoseconds to wait until something may be taken; 0 if at once. */
    long delay(long now) {
        if (perSecond == 0) {
            return 0;
        }
        fill(now);
        return tokens > 0 ? 0 : nanosFor(1 - tokens);
    }

    /** Takes {@code amount} tokens, which may leave a debt. */
    void take(long amount) {
        if (perSecond != 0) {
            tokens -= amount;
        }
    }

    private void fill(long now) {
        long elapsed = now - filledAt;
        if (elapsed >= nanosFor(burst - tokens)) {
            tokens = burst;
            filledAt = now;
            return;
        }
        long gained = (long) ((double) elapsed * perSecond / SECOND);
        if (gained > 0) {
            tokens += gained;
            // Only the time that the whole tokens took: the rest counts next time.
            filledAt += Math.min(elapsed, nanosFor(gained));
        }
    }

    private long nanosFor(long amount) {
        return (long) Math.ceil((double) amount * SECOND / perSecond);
    }
}
