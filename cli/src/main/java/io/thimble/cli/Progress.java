package io.thimble.cli;

import java.util.concurrent.TimeUnit;

/** Has something said about what is going on, if it takes longer than a second; closed when it is done. */
final class Progress implements AutoCloseable {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final Runnable say;
    private final Thread thread;
    private boolean done;

    /**
     * Starts waiting.
     *
     * @param say says what is going on; called when the second is over
     */
    Progress(Runnable say) {
        this.say = say;
        thread = Thread.ofPlatform().name("thimble-progress").daemon(true).start(this::sayLater);
    }

    private synchronized void sayLater() {
        long deadline = System.nanoTime() + PATIENCE_NANOS;
        try {
            for (long left = PATIENCE_NANOS; !done && left > 0; left = deadline - System.nanoTime()) {
                TimeUnit.NANOSECONDS.timedWait(this, left);
            }
        } catch (InterruptedException _) {
            return;
        }
        if (!done) {
            say.run();
        }
    }

    /** Says nothing from now on. */
    @Override
    public synchronized void close() {
        done = true;
        thread.interrupt();
    }
}
