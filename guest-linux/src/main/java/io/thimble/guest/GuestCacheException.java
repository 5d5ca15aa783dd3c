package io.thimble.guest;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The bundled guest could not be unpacked. The message names the directory and the remedy. */
public final class GuestCacheException extends IOException {
    private static final long serialVersionUID = 1;

    private final transient @Nullable Path directory;

    GuestCacheException(@Nullable Path directory, String message, @Nullable Throwable cause) {
        super(message, cause);
        this.directory = directory;
    }

    /** Returns the directory that could not be used, or nothing if the fault is not a directory's. */
    public Optional<Path> directory() {
        return Optional.ofNullable(directory);
    }
}
