package io.thimble.cli;

import io.thimble.linux.LinuxException;
import io.thimble.linux.Terminal;
import io.thimble.linux.Terminal.WindowSize;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The standard streams of this process. */
final class ProcessStreams implements Streams {
    private static final int STDIN = 0;
    private static final int STDOUT = 1;

    private final boolean interactive = Terminal.isTerminal(STDIN) && Terminal.isTerminal(STDOUT);
    private volatile @Nullable Terminal raw;

    @Override
    public InputStream in() {
        return new FileInputStream(FileDescriptor.in);
    }

    @Override
    public OutputStream out() {
        return new FileOutputStream(FileDescriptor.out);
    }

    @Override
    public OutputStream err() {
        return new FileOutputStream(FileDescriptor.err);
    }

    @Override
    public boolean interactive() {
        return interactive;
    }

    @Override
    public Optional<WindowSize> windowSize() {
        return interactive ? Terminal.windowSize(STDOUT) : Optional.empty();
    }

    @Override
    public Optional<String> terminalType() {
        return interactive ? Optional.ofNullable(System.getenv("TERM")) : Optional.empty();
    }

    @Override
    public void makeRaw() {
        raw = Terminal.makeRaw(STDIN);
    }

    @Override
    public void restore() {
        Terminal terminal = raw;
        if (terminal != null) {
            try {
                terminal.restore();
            } catch (LinuxException _) {
                // It was hung up: there is nothing left to restore.
            }
        }
    }
}
