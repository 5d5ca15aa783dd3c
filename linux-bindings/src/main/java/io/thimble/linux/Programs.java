package io.thimble.linux;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Programs that are installed on this machine. */
public final class Programs {
    private static final String USUAL = "/usr/bin";

    private Programs() {}

    /** Returns where a program is, as a shell would find it by {@code $PATH}; empty if it is not installed. */
    public static Optional<Path> find(String name) {
        String path = Optional.ofNullable(System.getenv("PATH")).orElse(USUAL);
        for (String directory : path.split(":", -1)) {
            Path program = Path.of(directory.isEmpty() ? "." : directory, name);
            if (Files.isExecutable(program)) {
                return Optional.of(program);
            }
        }
        return Optional.empty();
    }
}
