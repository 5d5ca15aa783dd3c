package io.thimble.cli;

import java.io.IOException;
import java.io.InputStream;

/**
 * What is typed on a terminal in raw mode, with one escape for the launcher: {@code Ctrl-]} and then {@code x} ends the
 * VM, {@code Ctrl-]} twice sends one, and before any other key it has no effect. Read by one thread.
 */
final class EscapeInput extends InputStream {
    /** {@code Ctrl-]}. */
    static final int ESCAPE = 0x1d;

    private static final String END_KEYS = "xX";

    private final InputStream keys;
    private final Runnable end;
    private boolean escaped;

    /**
     * Filters {@code keys}.
     *
     * @param end what to do when the VM is to end, on the reader's thread; after that the stream is at its end
     */
    EscapeInput(InputStream keys, Runnable end) {
        this.keys = keys;
        this.end = end;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        int put = 0;
        while (put == 0) {
            int count = keys.read(target, offset, length);
            if (count <= 0) {
                return count;
            }
            for (int i = offset; i < offset + count; i++) {
                byte key = target[i];
                if (!escaped && key == ESCAPE) {
                    escaped = true;
                } else if (escaped && END_KEYS.indexOf(key) >= 0) {
                    end.run();
                    return -1;
                } else {
                    escaped = false;
                    target[offset + put++] = key;
                }
            }
        }
        return put;
    }
}
