package io.thimble.cli;

import java.io.IOException;
import java.io.OutputStream;

/**
 * Passes the guest's output on, notes when the first byte came, and tells when nobody reads it any more (a closed pipe).
 * Written by one thread; the notes may be read by any.
 */
final class ConsoleOutput extends OutputStream {
    private final OutputStream out;
    private final Runnable broken;
    private volatile long firstByte;

    /**
     * Writes to {@code out}.
     *
     * @param broken called on the writer's thread when {@code out} fails
     */
    ConsoleOutput(OutputStream out, Runnable broken) {
        this.out = out;
        this.broken = broken;
    }

    /** Returns {@link System#nanoTime} at the first byte; 0 if none has come. */
    long firstByte() {
        return firstByte;
    }

    @Override
    public void write(int value) throws IOException {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        if (firstByte == 0) {
            firstByte = System.nanoTime();
        }
        try {
            out.write(bytes, offset, length);
        } catch (IOException e) {
            broken.run();
            throw e;
        }
    }
}
