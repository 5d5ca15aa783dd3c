package io.thimble.cli;

import io.thimble.cli.Link.Frame;
import io.thimble.linux.Terminal.WindowSize;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.util.Optional;

/** The streams of a user who sits at the other end of a {@link Link}, which puts its terminal into raw mode itself. */
final class LinkStreams implements Streams {
    private final Link link;
    private final Optional<String> terminalType;
    private final PipedInputStream in = new PipedInputStream(2 * Link.LARGEST);
    private volatile Optional<WindowSize> window = Optional.empty();

    /**
     * Talks over {@code link}.
     *
     * @param terminalType of the user's terminal; empty if there is none
     */
    LinkStreams(Link link, Optional<String> terminalType) {
        this.link = link;
        this.terminalType = terminalType;
    }

    /** Waits for the first frame, which tells how large the window is. */
    void receiveWindow() throws IOException {
        Frame frame = link.receive();
        if (frame == null || frame.kind() != Link.Kind.WINDOW) {
            throw new IOException("the window's size did not come");
        }
        setWindow(frame);
    }

    /** Of a window whose size nobody knows both numbers are 0. */
    private void setWindow(Frame frame) throws IOException {
        WindowSize size = new WindowSize(frame.number(), frame.number());
        window = size.rows() > 0 ? Optional.of(size) : Optional.empty();
    }

    /**
     * Takes what comes over the link, until it ends.
     *
     * @throws IOException if something else than the user's frames came
     */
    void receive() throws IOException {
        OutputStream input = new PipedOutputStream(in);
        for (Frame frame = link.receive(); frame != null; frame = link.receive()) {
            switch (frame.kind()) {
                case STDIN -> {
                    if (frame.isEmpty()) {
                        input.close();
                    } else {
                        take(input, frame);
                    }
                }
                case WINDOW -> setWindow(frame);
                default -> throw new IOException("an unexpected frame: " + frame.kind());
            }
        }
    }

    /** A guest that reads no input any more does not stop what comes behind it. */
    private static void take(OutputStream input, Frame frame) {
        try {
            frame.writeTo(input);
            input.flush();
        } catch (IOException _) {
            // What was meant for it is dropped.
        }
    }

    @Override
    public InputStream in() {
        return in;
    }

    @Override
    public OutputStream out() {
        return new LinkOutput(link, Link.Kind.STDOUT);
    }

    @Override
    public OutputStream err() {
        return new LinkOutput(link, Link.Kind.STDERR);
    }

    @Override
    public boolean interactive() {
        return terminalType.isPresent();
    }

    @Override
    public Optional<WindowSize> windowSize() {
        return window;
    }

    @Override
    public Optional<String> terminalType() {
        return terminalType;
    }

    @Override
    public void makeRaw() {
        // The other end has done it.
    }

    @Override
    public void restore() {
        // Nor does it have to be taken back here.
    }
}
