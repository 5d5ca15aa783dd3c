package io.thimble.cli;

import io.thimble.linux.Terminal.WindowSize;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;

/** Tells when the size of the terminal's window has changed, on a thread of its own. */
final class WindowFollower {
    private static final Duration POLL = Duration.ofMillis(250);

    /** Learns the new size. */
    @FunctionalInterface
    interface Listener {
        /**
         * Takes it.
         *
         * @param size empty if nobody knows
         * @throws IOException if there is nobody to tell any more, as an {@link IllegalStateException} says too
         */
        void resized(Optional<WindowSize> size) throws IOException;
    }

    private WindowFollower() {}

    /**
     * Begins, until the listener throws or the process ends.
     *
     * @param known what the listener knows already
     */
    static void follow(Streams streams, Optional<WindowSize> known, Listener listener) {
        Thread.ofPlatform().daemon(true).name("thimble-window").start(() -> run(streams, known, listener));
    }

    private static void run(Streams streams, Optional<WindowSize> first, Listener listener) {
        Optional<WindowSize> known = first;
        try {
            while (true) {
                Thread.sleep(POLL);
                Optional<WindowSize> now = streams.windowSize();
                if (!now.equals(known)) {
                    known = now;
                    listener.resized(now);
                }
            }
        } catch (IOException | IllegalStateException | InterruptedException _) {
            // It has ended.
        }
    }
}
