package io.thimble.vmm.event;

/**
 * How long a loop looks for work before it sleeps. Looking pays where work comes sooner than a thread is woken, so it
 * follows how long the last waits were: a wait that looking would have bridged makes it longer, any longer wait shorter, so
 * that a loop with nothing to do soon looks no more. It does not pay at all where somebody else needs the processor, whoever is
 * to bring the work perhaps: then the loop sleeps each time, and tries again after a pause. Another disturbance soon after it doubles
 * the next pause, since each costs the loop a time slice of somebody else's, milliseconds, in which its work waits. All times are in
 * nanoseconds. For one thread.
 */
final class SpinTime {
    /**
     * The most. A guest takes about half of it from an interrupt to its next request, a fast disk a quarter; to wake a thread
     * on a processor that sleeps takes a fifth.
     */
    static final long MOST = 200_000;

    /** Less than this is not worth looking at all. */
    static final long LEAST = 5_000;

    static final long FIRST_PAUSE = 2_000_000;
    static final long LONGEST_PAUSE = 1_000_000_000;

    /** A disturbance is soon after a pause if less than so many times its length has passed. */
    static final int SOON = 4;

    private final boolean allowed;
    private long most;
    private long pause;
    private long pausedAt;
    private boolean pausing;

    /**
     * Starts without.
     *
     * @param processors where there is but one, whoever is to bring work needs it
     */
    SpinTime(int processors) {
        this.allowed = processors > 1;
    }

    /** Returns how long to look now; 0 for not at all. */
    long nanos(long now) {
        if (pausing && now - pausedAt >= pause) {
            pausing = false;
        }
        return pausing ? 0 : most;
    }

    /** A wait has ended, looking and sleeping together. */
    void waited(long idle) {
        if (!allowed) {
            return;
        }
        if (idle > MOST) {
            most = most / 2 < LEAST ? 0 : most / 2;
        } else if (idle > most) {
            most = Math.clamp(2 * idle, LEAST, MOST);
        }
    }

    /** Somebody else needed the processor. */
    void disturbed(long now) {
        boolean soon = pause > 0 && now - pausedAt < (1 + SOON) * pause;
        pause = soon ? Math.min(2 * pause, LONGEST_PAUSE) : FIRST_PAUSE;
        pausing = true;
        pausedAt = now;
    }
}
