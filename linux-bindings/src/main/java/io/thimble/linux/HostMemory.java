package io.thimble.linux;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** How much memory the host has (proc(5), {@code /proc/meminfo}). */
public final class HostMemory {
    private static final Path MEMINFO = Path.of("/proc/meminfo");
    private static final String AVAILABLE = "MemAvailable:";

    private HostMemory() {}

    /** Returns how many bytes can be had without swapping, as the kernel estimates; cgroup limits do not count. */
    public static long available() {
        try {
            for (String line : Files.readAllLines(MEMINFO)) {
                if (line.startsWith(AVAILABLE)) {
                    String kib =
                            line.substring(AVAILABLE.length()).replace("kB", "").strip();
                    return Long.parseLong(kib) << 10;
                }
            }
            return Long.MAX_VALUE;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
