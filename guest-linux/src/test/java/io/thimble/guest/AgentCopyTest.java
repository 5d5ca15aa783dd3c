package io.thimble.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.vmm.CopyOptions;
import io.thimble.vmm.CopyResult;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Copies through the committed agent, over Unix sockets: needs neither KVM nor root. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AgentCopyTest {
    private static final FileTime TIME = FileTime.from(Instant.parse("2001-02-03T04:05:06.789012345Z"));

    @TempDir
    Path folder;

    private ServingAgent agent;
    private Path host = Path.of("");
    private Path guest = Path.of("");

    @BeforeEach
    void start() throws Exception {
        host = Files.createDirectory(folder.resolve("host"));
        guest = Files.createDirectory(folder.resolve("guest"));
        agent = new ServingAgent(ServingAgent.COMMITTED, folder);
    }

    @AfterEach
    void stop() {
        agent.close();
    }

    private CopyResult in(Path source, String target) throws IOException {
        return agent.client.copyIn(source, target, CopyOptions.DEFAULTS);
    }

    private CopyResult out(String source, Path target) throws IOException {
        return agent.client.copyOut(source, target, CopyOptions.DEFAULTS);
    }

    private Path tree() throws IOException {
        Path tree = host.resolve("tree");
        Files.createDirectories(tree.resolve("a/b/c"));
        byte[] content = new byte[200_001];
        new Random(3).nextBytes(content);
        Files.write(tree.resolve("a/large"), content);
        Files.writeString(tree.resolve("a/b/script"), "#!/bin/sh\n");
        Files.writeString(tree.resolve("a/b/caf\u00e9 \n x"), "");
        Files.setPosixFilePermissions(tree.resolve("a/b/script"), PosixFilePermissions.fromString("rwxr-x--x"));
        Files.createSymbolicLink(tree.resolve("a/link"), Path.of("b/script"));
        Files.createSymbolicLink(tree.resolve("dangling"), Path.of("/no/such/../thing"));
        Files.setPosixFilePermissions(tree.resolve("a/b/c"), PosixFilePermissions.fromString("r-xr-xr-x"));
        for (String name : List.of("a/large", "a/b/script", "a/b/c", "a/b", "a")) {
            Files.setLastModifiedTime(tree.resolve(name), TIME);
        }
        return tree;
    }

    /** Describes everything below a path: kind, permissions, time, content. */
    private static List<String> describe(Path root) throws IOException {
        List<String> lines = new ArrayList<>();
        try (Stream<Path> paths = Files.walk(root)) {
            for (Path path : paths.sorted().toList()) {
                String line = root.relativize(path) + " ";
                if (Files.isSymbolicLink(path)) {
                    line += "-> " + Files.readSymbolicLink(path);
                } else {
                    line += PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
                    line += Files.isDirectory(path) ? "" : " " + Arrays.hashCode(Files.readAllBytes(path));
                }
                lines.add(line + " " + Files.getLastModifiedTime(path, LinkOption.NOFOLLOW_LINKS));
            }
        }
        return lines;
    }

    @Test
    void carries_a_tree_in_and_out_unchanged() throws Exception {
        Path tree = tree();
        CopyResult in = in(tree, guest + "/deep/down/copy");
        assertThat(in).isEqualTo(new CopyResult(9, 200_011, 0));
        assertThat(describe(guest.resolve("deep/down/copy"))).isEqualTo(describe(tree));
        CopyResult out = out(guest + "/deep/down/copy", host.resolve("back"));
        assertThat(out).isEqualTo(in);
        assertThat(describe(host.resolve("back"))).isEqualTo(describe(tree));
        // And once more, onto what is there.
        assertThat(in(tree, guest + "/deep/down/copy")).isEqualTo(in);
        assertThat(out(guest + "/deep/down/copy", host.resolve("back"))).isEqualTo(out);
        assertThat(describe(host.resolve("back"))).isEqualTo(describe(tree));
    }

    @Test
    void carries_one_file_under_another_name_or_into_a_directory() throws Exception {
        Path file = Files.writeString(host.resolve("file"), "content");
        in(file, guest + "/name");
        in(file, guest + "/made/");
        assertThat(guest.resolve("name")).hasContent("content");
        assertThat(guest.resolve("made/file")).hasContent("content");
        out(guest + "/name", host.resolve("again"));
        assertThat(host.resolve("again")).hasContent("content");
    }

    @Test
    void keeps_holes_and_reads_files_that_have_no_size() throws Exception {
        Path sparse = host.resolve("sparse");
        try (RandomAccessFile file = new RandomAccessFile(sparse.toFile(), "rw")) {
            file.seek(40 << 20);
            file.write("middle".getBytes(StandardCharsets.UTF_8));
            file.setLength(100 << 20);
        }
        assertThat(in(sparse, guest + "/sparse").bytes()).isLessThan(1 << 20);
        assertThat(out(guest + "/sparse", host.resolve("back")).bytes()).isLessThan(1 << 20);
        assertThat(host.resolve("back")).hasSameBinaryContentAs(sparse);
        assertThat((Long) Files.getAttribute(host.resolve("back"), "size")).isEqualTo(100 << 20);
        out("/proc/self/status", host.resolve("status"));
        assertThat(host.resolve("status")).content().contains("thimble-agent");
    }

    @Test
    void follows_a_link_only_where_it_is_named() throws Exception {
        Path file = Files.writeString(guest.resolve("file"), "content");
        Files.createSymbolicLink(guest.resolve("link"), file);
        out(guest + "/link", host.resolve("copy"));
        assertThat(host.resolve("copy")).hasContent("content");
        assertThat(Files.isSymbolicLink(host.resolve("copy"))).isFalse();
    }

    @Test
    void says_what_the_guest_cannot_give_or_take() throws Exception {
        assertThatThrownBy(() -> out(guest + "/missing", host.resolve("x")))
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.FILE))
                .hasMessageContaining("/missing: No such file or directory");
        Path file = Files.write(host.resolve("file"), new byte[10 << 20]);
        Files.createDirectory(guest.resolve("there"));
        assertThatThrownBy(() -> in(file, guest + "/there")).hasMessageContaining("there: Is a directory");
        Files.writeString(guest.resolve("plain"), "");
        assertThatThrownBy(() -> in(file, guest + "/plain/x")).hasMessageContaining("Not a directory");
    }

    @Test
    void says_what_the_host_cannot_give_or_take() throws Exception {
        Files.writeString(guest.resolve("file"), "");
        assertThatThrownBy(() -> in(host.resolve("missing"), "/x")).isInstanceOf(FileSystemException.class);
        assertThatThrownBy(() -> out(guest + "/file", host.resolve("no/such/place")))
                .isInstanceOf(FileSystemException.class)
                .hasMessageContaining("no/such: ENOENT (No such file or directory)");
        Files.createDirectory(host.resolve("there"));
        assertThatThrownBy(() -> out(guest + "/file", host.resolve("there")))
                .isInstanceOf(FileSystemException.class)
                .hasMessageContaining("there: remove the old one: EISDIR (Is a directory)");
    }

    @Test
    void writes_through_no_link_that_an_earlier_copy_has_left() throws Exception {
        Path outside = Files.createDirectory(folder.resolve("outside"));
        Files.createDirectory(guest.resolve("tree"));
        Files.createSymbolicLink(guest.resolve("tree/d"), outside);
        out(guest + "/tree", host.resolve("copy"));
        Files.delete(guest.resolve("tree/d"));
        Files.createDirectory(guest.resolve("tree/d"));
        Files.writeString(guest.resolve("tree/d/planted"), "");
        assertThatThrownBy(() -> out(guest + "/tree", host.resolve("copy"))).isInstanceOf(FileSystemException.class);
        assertThat(outside).isEmptyDirectory();
    }

    @Test
    void leaves_devices_sockets_and_pipes_out() throws Exception {
        Files.createDirectory(guest.resolve("tree"));
        assertThat(new ProcessBuilder("mkfifo", guest + "/tree/pipe").start().waitFor())
                .isZero();
        CopyResult result = out(guest + "/tree", host.resolve("copy"));
        assertThat(result).isEqualTo(new CopyResult(1, 0, 1));
        assertThat(host.resolve("copy")).isEmptyDirectory();
        assertThatThrownBy(() -> out(guest + "/tree/pipe", host.resolve("x"))).hasMessageContaining("neither");
    }

    @Test
    void keeps_the_limits() throws Exception {
        Path tree = tree();
        CopyOptions few = CopyOptions.DEFAULTS.withMaxEntries(3);
        CopyOptions small = CopyOptions.DEFAULTS.withMaxBytes(100_000);
        CopyOptions flat = CopyOptions.DEFAULTS.withMaxDepth(2);
        in(tree, guest + "/copy");
        for (CopyOptions options : List.of(few, small, flat)) {
            assertThatThrownBy(() -> agent.client.copyOut(guest + "/copy", host.resolve("limited"), options))
                    .isInstanceOfSatisfying(
                            GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.LIMIT));
            assertThatThrownBy(() -> agent.client.copyIn(tree, guest + "/limited", options))
                    .isInstanceOfSatisfying(
                            GuestException.class, e -> assertThat(e.problem()).isEqualTo(Problem.LIMIT));
        }
    }
}
