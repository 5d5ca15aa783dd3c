package io.thimble.cli;

import io.thimble.linux.Terminal.WindowSize;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Optional;

/** What a user gave the launcher to talk over: three streams, and perhaps a terminal behind them. Thread-safe. */
interface Streams {
    /** Returns what the user types or sends. */
    InputStream in();

    /** Returns where results go. Its failure means that nobody reads them. */
    OutputStream out();

    /** Returns where messages go. */
    OutputStream err();

    /** Tells whether {@link #in} and {@link #out} are a terminal. */
    boolean interactive();

    /** Returns how large the terminal's window is now; empty if there is none or nobody knows. */
    Optional<WindowSize> windowSize();

    /** Returns the terminal's type, as {@code $TERM} names it; empty if there is none. */
    Optional<String> terminalType();

    /** Has the terminal pass all keys on as they are. */
    void makeRaw();

    /** Takes {@link #makeRaw} back. May be called again, and without it. */
    void restore();
}
