package io.thimble.guest;

import java.io.IOException;
import java.io.InputStream;

/**
 * A file that travels in the jar.
 *
 * @param name what its file in the cache is called, before the dash and the digest
 * @param sha256 digest of the content, 64 lower-case hexadecimal digits
 * @param size bytes of content
 * @param source opens the content, uncompressed
 */
record Artifact(String name, String sha256, long size, Source source) {
    /** Opens the content. */
    @FunctionalInterface
    interface Source {
        InputStream open() throws IOException;
    }

    String fileName() {
        return name + "-" + sha256;
    }
}
