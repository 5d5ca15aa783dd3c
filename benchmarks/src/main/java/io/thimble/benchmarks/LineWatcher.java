package io.thimble.benchmarks;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** A console that notes when a text arrives. */
final class LineWatcher extends OutputStream {
    private final byte[] wanted;
    private int matched;
    private volatile long arrived;
    private final CountDownLatch latch = new CountDownLatch(1);

    LineWatcher(String wanted) {
        this.wanted = wanted.getBytes(StandardCharsets.US_ASCII);
    }

    @Override
    public void write(int b) {
        matched = b == wanted[matched] ? matched + 1 : b == wanted[0] ? 1 : 0;
        if (matched == wanted.length) {
            matched = 0;
            if (arrived == 0) {
                arrived = System.nanoTime();
                latch.countDown();
            }
        }
    }

    /** Waits for the text and returns when it came, as {@link System#nanoTime} tells it. */
    long await() throws InterruptedException {
        if (!latch.await(60, TimeUnit.SECONDS)) {
            throw new IllegalStateException("the guest did not print the line within 60 s");
        }
        return arrived;
    }
}
