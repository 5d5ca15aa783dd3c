package io.thimble.cli;

import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/**
 * A copy between host and guest that the command line asks for. What can be known to be wrong is refused before the VM starts.
 *
 * @param host a path of the host
 * @param guest an absolute path in the guest
 */
record Copy(Path host, String guest) {
    /** Reads {@code HOST:GUEST}: what is to be copied before the command runs. */
    static Copy in(String text) {
        int colon = text.lastIndexOf(":/");
        if (colon < 1) {
            throw new UsageException("--copy-in " + text + ": write HOST:GUEST, GUEST with its leading slash");
        }
        Copy copy = of("--copy-in", text.substring(0, colon), text.substring(colon + 1));
        if (!Files.isReadable(copy.host)) {
            throw new UsageException("--copy-in: " + copy.host + " does not exist or cannot be read");
        }
        return copy;
    }

    /** Reads {@code GUEST:HOST}: what is to be copied when the command has ended. */
    static Copy out(String text) {
        int colon = text.indexOf(':');
        if (!text.startsWith("/") || colon < 0 || colon == text.length() - 1) {
            throw new UsageException("--copy-out " + text + ": write GUEST:HOST, GUEST with its leading slash");
        }
        Copy copy = of("--copy-out", text.substring(colon + 1), text.substring(0, colon));
        Path parent = copy.host.toAbsolutePath().normalize().getParent();
        if (parent == null || !Files.isDirectory(parent) || !Files.isWritable(parent)) {
            throw new UsageException(
                    "--copy-out: " + copy.host + " has no directory that can be written: make it first");
        }
        return copy;
    }

    private static Copy of(String option, String host, String guest) {
        try {
            return new Copy(Path.of(host), guest);
        } catch (InvalidPathException e) {
            throw new UsageException(option + ": " + e.getReason());
        }
    }
}
