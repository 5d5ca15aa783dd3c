package io.thimble.cli;

import java.io.IOException;
import java.io.OutputStream;

/** Sends what is written as frames of one kind. */
final class LinkOutput extends OutputStream {
    private final Link link;
    private final Link.Kind kind;

    LinkOutput(Link link, Link.Kind kind) {
        this.link = link;
        this.kind = kind;
    }

    @Override
    public void write(int value) throws IOException {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        if (length > 0) {
            link.send(kind, bytes, offset, length);
        }
    }
}
