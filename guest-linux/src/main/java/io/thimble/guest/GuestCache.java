package io.thimble.guest;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Directory of unpacked guest files, each named by the SHA-256 of its content.
 *
 * <p>The first that can be used of: {@code $THIMBLE_CACHE} (if set, no other is tried), {@code $XDG_CACHE_HOME/thimble},
 * {@code ~/.cache/thimble}, {@code thimble-<user>} in {@code java.io.tmpdir}. The directory must belong to the user and must not be
 * writable by others.
 *
 * <p>A file is written under a temporary name, compared with the digest while it is written, given the time stamp {@link
 * #STAMP} and renamed: whoever sees the name sees the whole file, and processes that unpack at once do no harm, since each
 * renames the same content. Later uses do not read it again (30 MB cost 10 ms and more). They check that it is a regular
 * file of the right size with that time stamp, belongs to the user and is writable by no one else; any later write would have
 * changed the stamp. A file that fails this is unpacked again. What this does not find is a disk that changes bits.
 *
 * <p>Thread-safe.
 */
final class GuestCache {
    /** Modification time of every finished file: 2000-01-01T00:00:00Z. */
    static final FileTime STAMP = FileTime.from(Instant.ofEpochSecond(946_684_800));

    private static final Logger LOG = LoggerFactory.getLogger(GuestCache.class);
    private static final Set<PosixFilePermission> PRIVATE_DIRECTORY = PosixFilePermissions.fromString("rwx------");
    private static final Set<PosixFilePermission> FINISHED = PosixFilePermissions.fromString("r--r--r--");
    private static final int WRITABLE_BY_OTHERS = 0022;
    private static final Duration ABANDONED = Duration.ofHours(1);
    private static final String TEMPORARY = ".unpacking-";
    private static final int COPY_BUFFER = 1 << 16;

    private final List<Path> candidates;
    private final InstantSource clock;
    private final Object unpacking = new Object();

    /** Creates a cache in the first of {@code candidates} that can be used. */
    GuestCache(List<Path> candidates) {
        this(candidates, InstantSource.system());
    }

    /** Creates a cache that takes the age of abandoned files by {@code clock}. */
    GuestCache(List<Path> candidates, InstantSource clock) {
        this.candidates = List.copyOf(candidates);
        this.clock = clock;
    }

    /** Returns the cache where the environment says. */
    static GuestCache standard() {
        return new GuestCache(candidates(
                System.getenv(),
                System.getProperty("user.home", ""),
                System.getProperty("java.io.tmpdir"),
                System.getProperty("user.name")));
    }

    static List<Path> candidates(Map<String, String> environment, String home, String temporary, String user) {
        String explicit = environment.getOrDefault("THIMBLE_CACHE", "");
        if (!explicit.isEmpty()) {
            return List.of(Path.of(explicit).toAbsolutePath());
        }
        List<Path> directories = new ArrayList<>();
        // The XDG specification: a relative path is to be ignored.
        String xdg = environment.getOrDefault("XDG_CACHE_HOME", "");
        if (xdg.startsWith("/")) {
            directories.add(Path.of(xdg, "thimble"));
        }
        if (home.startsWith("/")) {
            directories.add(Path.of(home, ".cache", "thimble"));
        }
        directories.add(Path.of(temporary, "thimble-" + user));
        return directories;
    }

    /**
     * Returns the file of {@code artifact}, unpacking it if it is not there or not sound.
     *
     * @throws GuestCacheException if no directory can be used, the disk is full, or the jar's content is not what it should be
     */
    Path file(Artifact artifact) throws GuestCacheException {
        List<String> reasons = new ArrayList<>();
        IOException last = null;
        for (Path directory : candidates) {
            try {
                return fileIn(directory, artifact);
            } catch (GuestCacheException e) {
                throw e;
            } catch (IOException e) {
                reasons.add(directory + " (" + reason(e) + ")");
                last = e;
            }
        }
        throw new GuestCacheException(
                candidates.getLast(),
                "cannot unpack the bundled guest (" + artifact.size() + " bytes) into " + String.join(", ", reasons)
                        + ": set THIMBLE_CACHE to a directory of your own with room for it",
                last);
    }

    private static String reason(IOException e) {
        String message = e.getMessage();
        return e.getClass().getSimpleName() + (message == null ? "" : ": " + message);
    }

    private Path fileIn(Path directory, Artifact artifact) throws IOException {
        Path file = directory.resolve(artifact.fileName());
        if (isSound(file, artifact)) {
            return file;
        }
        synchronized (unpacking) {
            if (!isSound(file, artifact)) {
                prepare(directory);
                unpack(directory, file, artifact);
            }
        }
        return file;
    }

    private static boolean isSound(Path file, Artifact artifact) throws IOException {
        Map<String, Object> attributes;
        try {
            attributes = Files.readAttributes(
                    file, "unix:size,lastModifiedTime,isRegularFile,uid,mode", LinkOption.NOFOLLOW_LINKS);
        } catch (NoSuchFileException e) {
            return false;
        }
        boolean sound = Boolean.TRUE.equals(attributes.get("isRegularFile"))
                && attributes.get("size") instanceof Long size
                && size == artifact.size()
                && STAMP.equals(attributes.get("lastModifiedTime"))
                && isOurs(attributes);
        if (!sound) {
            LOG.warn("{} was changed or damaged; it is unpacked again", file);
        }
        return sound;
    }

    private static boolean isOurs(Map<String, Object> attributes) throws IOException {
        return attributes.get("mode") instanceof Integer mode
                && (mode & WRITABLE_BY_OTHERS) == 0
                && Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(attributes.get("uid"));
    }

    private void prepare(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            Path parent = directory.getParent();
            if (parent != null) {
                Files.createDirectories(parent);
            }
            Files.createDirectories(directory, PosixFilePermissions.asFileAttribute(PRIVATE_DIRECTORY));
        }
        if (!isOurs(Files.readAttributes(directory, "unix:uid,mode"))) {
            throw new IOException("belongs to another user or is writable by others");
        }
        removeAbandoned(directory);
    }

    /**
     * Removes what processes left that were killed while they unpacked. The age is that of the last change of status: the
     * modification time of a file that is about to be renamed is {@link #STAMP} already.
     */
    private void removeAbandoned(Path directory) throws IOException {
        Instant limit = clock.instant().minus(ABANDONED);
        try (var files = Files.newDirectoryStream(directory, TEMPORARY + "*")) {
            for (Path file : files) {
                if (statusChange(file).isBefore(limit)) {
                    Files.deleteIfExists(file);
                }
            }
        }
    }

    /** Returns when {@code file} was last changed in any way; the far future if another process has renamed or removed it. */
    private static Instant statusChange(Path file) throws IOException {
        try {
            return ((FileTime) Files.getAttribute(file, "unix:ctime", LinkOption.NOFOLLOW_LINKS)).toInstant();
        } catch (NoSuchFileException e) {
            return Instant.MAX;
        }
    }

    private static void unpack(Path directory, Path file, Artifact artifact) throws IOException {
        Path temporary = Files.createTempFile(directory, TEMPORARY, null);
        try {
            String digest = copy(artifact, temporary);
            if (!digest.equals(artifact.sha256())) {
                throw new GuestCacheException(
                        null,
                        "the bundled " + artifact.name() + " has SHA-256 " + digest + " instead of " + artifact.sha256()
                                + ": the jar is damaged, fetch or build it again",
                        null);
            }
            Files.setPosixFilePermissions(temporary, FINISHED);
            Files.setLastModifiedTime(temporary, STAMP);
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private static String copy(Artifact artifact, Path to) throws IOException {
        MessageDigest digest = sha256();
        try (InputStream in = artifact.source().open();
                OutputStream out = Files.newOutputStream(to)) {
            byte[] buffer = new byte[COPY_BUFFER];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                digest.update(buffer, 0, n);
                out.write(buffer, 0, n);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
