package io.thimble.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GuestCacheTest {
    private static final byte[] CONTENT = "content of the artifact".getBytes(StandardCharsets.UTF_8);

    @TempDir
    Path folder;

    private final AtomicInteger unpacked = new AtomicInteger();
    private Path directory = Path.of("");
    private GuestCache cache = new GuestCache(List.of());
    private Artifact artifact = artifact(CONTENT, "");

    @BeforeEach
    void createCache() throws Exception {
        directory = folder.resolve("cache/thimble");
        cache = new GuestCache(List.of(directory));
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(CONTENT);
        artifact = artifact(CONTENT, HexFormat.of().formatHex(digest));
    }

    private Artifact artifact(byte[] content, String sha256) {
        return new Artifact("thing", sha256, CONTENT.length, () -> {
            unpacked.incrementAndGet();
            return new ByteArrayInputStream(content);
        });
    }

    private List<String> names() throws IOException {
        try (var files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).toList();
        }
    }

    @Test
    void unpacks_once_and_leaves_nothing_else() throws Exception {
        Path file = cache.file(artifact);
        assertThat(file).hasBinaryContent(CONTENT);
        assertThat(file.getFileName()).hasToString("thing-" + artifact.sha256());
        assertThat(cache.file(artifact)).isEqualTo(file);
        assertThat(new GuestCache(List.of(directory)).file(artifact)).isEqualTo(file);
        assertThat(unpacked).hasValue(1);
        assertThat(names()).containsExactly(file.getFileName().toString());
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("r--r--r--");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(directory)))
                .isEqualTo("rwx------");
    }

    private void repairs(Path file) throws Exception {
        assertThat(cache.file(artifact)).isEqualTo(file).hasBinaryContent(CONTENT);
        assertThat(unpacked).hasValue(2);
        assertThat(Files.isSymbolicLink(file)).isFalse();
    }

    private Path writable() throws Exception {
        Path file = cache.file(artifact);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
        return file;
    }

    @Test
    void repairs_a_file_that_was_written_to() throws Exception {
        Path file = writable();
        byte[] other = CONTENT.clone();
        other[0] ^= 1;
        Files.write(file, other);
        repairs(file);
    }

    @Test
    void repairs_a_file_of_another_size_even_with_the_right_time() throws Exception {
        Path file = writable();
        Files.write(file, new byte[0]);
        Files.setLastModifiedTime(file, GuestCache.STAMP);
        repairs(file);
    }

    @Test
    void repairs_a_file_that_others_may_write() throws Exception {
        Path file = cache.file(artifact);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-r--"));
        repairs(file);
    }

    @Test
    void replaces_a_link_that_was_put_in_the_file_s_place() throws Exception {
        Path file = cache.file(artifact);
        Path elsewhere = Files.move(file, folder.resolve("elsewhere"));
        Files.createSymbolicLink(file, elsewhere);
        repairs(file);
    }

    @Test
    void rejects_content_that_has_not_the_digest() throws Exception {
        Artifact damaged = artifact("content of another thing".getBytes(StandardCharsets.UTF_8), artifact.sha256());
        assertThatThrownBy(() -> cache.file(damaged))
                .isInstanceOf(GuestCacheException.class)
                .hasMessageContaining("the jar is damaged")
                .hasMessageContaining(artifact.sha256());
        assertThat(names()).isEmpty();
    }

    @Test
    void rejects_a_directory_that_others_may_write() throws Exception {
        Files.createDirectories(directory);
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
        assertThatThrownBy(() -> cache.file(artifact))
                .isInstanceOf(GuestCacheException.class)
                .hasMessageContaining(directory.toString())
                .hasMessageContaining("writable by others")
                .hasMessageContaining("THIMBLE_CACHE");
    }

    @Test
    void names_the_directory_and_the_remedy_when_none_can_be_used() throws Exception {
        Path file = Files.writeString(folder.resolve("file"), "");
        GuestCache none = new GuestCache(List.of(file.resolve("a"), file.resolve("b")));
        assertThatThrownBy(() -> none.file(artifact))
                .isInstanceOfSatisfying(
                        GuestCacheException.class,
                        e -> assertThat(e.directory()).contains(file.resolve("b")))
                .hasMessageContaining(file.resolve("a").toString())
                .hasMessageContaining("THIMBLE_CACHE");
    }

    @Test
    void takes_the_next_directory_when_the_first_cannot_be_used() throws Exception {
        Path file = Files.writeString(folder.resolve("file"), "");
        GuestCache second = new GuestCache(List.of(file.resolve("cache"), directory));
        assertThat(second.file(artifact)).startsWith(directory).hasBinaryContent(CONTENT);
    }

    @Test
    void removes_what_a_killed_process_left() throws Exception {
        Path abandoned = temporaryFile();
        InstantSource later = () -> Instant.now().plus(Duration.ofHours(2));
        new GuestCache(List.of(directory), later).file(artifact);
        assertThat(abandoned).doesNotExist();
    }

    @Test
    void leaves_alone_what_another_is_about_to_rename() throws Exception {
        Path current = temporaryFile();
        Files.setLastModifiedTime(current, GuestCache.STAMP);
        cache.file(artifact);
        assertThat(current).exists();
    }

    private Path temporaryFile() throws IOException {
        Files.createDirectories(directory);
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
        return Files.writeString(directory.resolve(".unpacking-1.tmp"), "half");
    }

    @Test
    void caches_that_unpack_at_the_same_time_do_no_harm() throws Exception {
        List<Callable<Path>> tasks = Collections.nCopies(16, () -> new GuestCache(List.of(directory)).file(artifact));
        try (var executor = Executors.newFixedThreadPool(8)) {
            for (int round = 0; round < 50; round++) {
                for (Future<Path> result : executor.invokeAll(tasks)) {
                    assertThat(result.get()).hasBinaryContent(CONTENT);
                }
                Files.delete(cache.file(artifact));
            }
        }
        cache.file(artifact);
        assertThat(names()).hasSize(1);
    }

    @Test
    void looks_where_the_environment_says() {
        assertThat(GuestCache.candidates(Map.of("THIMBLE_CACHE", "/c", "XDG_CACHE_HOME", "/x"), "/h", "/t", "u"))
                .containsExactly(Path.of("/c"));
        assertThat(GuestCache.candidates(Map.of("XDG_CACHE_HOME", "/x"), "/h", "/t", "u"))
                .containsExactly(Path.of("/x/thimble"), Path.of("/h/.cache/thimble"), Path.of("/t/thimble-u"));
        assertThat(GuestCache.candidates(Map.of("XDG_CACHE_HOME", "relative", "THIMBLE_CACHE", ""), "?", "/t", "u"))
                .containsExactly(Path.of("/t/thimble-u"));
    }
}
