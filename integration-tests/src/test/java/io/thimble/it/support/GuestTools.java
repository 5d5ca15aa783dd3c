package io.thimble.it.support;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.vmm.Disk;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A read-only disk with the host's own fio and e2fsprogs and the libraries that they need, for the guest: made once and kept
 * in {@code target}.
 */
public final class GuestTools {
    private static final List<String> PROGRAMS = List.of("fio", "mke2fs", "e2fsck", "resize2fs");
    private static final Path IMAGE = Path.of("target", "guest-tools.img");
    private static final String SIZE = "128M";

    private GuestTools() {}

    /** Returns the disk; the test is skipped if the host has not got the programs. */
    public static synchronized Disk disk() throws IOException {
        if (!Files.exists(IMAGE)) {
            make();
        }
        return Disk.of(IMAGE).readOnly(true);
    }

    /** Returns the shell's words with which a guest mounts the disk and runs a program of it: {@code tool NAME ARGUMENT...}. */
    public static String prelude(String device) {
        return """
                mkdir -p /tools /m && mount -t ext4 -o ro %s /tools || exit 90
                tool() { program=$1; shift; /tools/ld.so --library-path /tools /tools/$program "$@"; }
                """.formatted(device);
    }

    private static void make() throws IOException {
        Path folder = Files.createTempDirectory("guest-tools");
        for (String program : PROGRAMS) {
            Optional<Path> found = find(program);
            assumeTrue(found.isPresent(), () -> program + " is missing: apt-get install fio e2fsprogs");
            copy(found.orElseThrow(), folder.resolve(program));
            for (String word : run("ldd", found.orElseThrow().toString()).split("\\s+", -1)) {
                if (word.startsWith("/")) {
                    String name = Path.of(word).getFileName().toString();
                    copy(Path.of(word), folder.resolve(name.startsWith("ld-linux") ? "ld.so" : name));
                }
            }
        }
        Files.createDirectories(IMAGE.toAbsolutePath().getParent());
        Path unfinished = Files.createTempFile(IMAGE.toAbsolutePath().getParent(), "guest-tools", ".tmp");
        run(
                "mke2fs",
                "-q",
                "-F",
                "-t",
                "ext4",
                "-O",
                "^has_journal",
                "-d",
                folder.toString(),
                unfinished.toString(),
                SIZE);
        Files.move(unfinished, IMAGE, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.copy(from.toRealPath(), to, StandardCopyOption.REPLACE_EXISTING);
    }

    private static Optional<Path> find(String program) {
        String path = System.getenv().getOrDefault("PATH", "") + ":/usr/sbin:/sbin";
        return Pattern.compile(":")
                .splitAsStream(path)
                .map(folder -> Path.of(folder, program))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /** Runs a program of the host's to its end with status 0 and returns what it printed. */
    public static String run(String... command) throws IOException {
        command[0] = find(command[0]).map(Path::toString).orElse(command[0]);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int status = process.onExit().join().exitValue();
        if (status != 0) {
            throw new AssertionError(String.join(" ", command) + ": status " + status + "\n" + output);
        }
        return output;
    }
}
