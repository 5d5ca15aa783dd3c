package io.thimble.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** What the kernel says about this process. */
final class ProcSelf {
    private ProcSelf() {}

    /** Counts the open descriptors whose file's name has {@code name} in it. */
    static long descriptorsOf(String name) throws IOException {
        long count = 0;
        try (var fds = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path fd : fds) {
                count += linkOf(fd).contains(name) ? 1 : 0;
            }
        }
        return count;
    }

    private static String linkOf(Path fd) throws IOException {
        try {
            return Files.readSymbolicLink(fd).toString();
        } catch (NoSuchFileException closedMeanwhile) {
            return "";
        }
    }

    /** Counts the mappings of files whose name has {@code name} in it. */
    static long mappingsOf(String name) throws IOException {
        try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains(name)).count();
        }
    }
}
