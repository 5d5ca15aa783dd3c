package io.thimble.vmm.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.thimble.vmm.CopyOptions;
import io.thimble.vmm.guest.AgentClient;
import io.thimble.vmm.guest.ScriptedChannel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** What a guest sends for a copy: nothing but the target and what is below it changes, and what is there keeps the limits. */
class CopyOutFuzzTest {
    private static final CopyOptions LIMITS =
            CopyOptions.DEFAULTS.withMaxEntries(20).withMaxBytes(10_000).withMaxDepth(5);
    private static final byte[] PRECIOUS = "as it was".getBytes(StandardCharsets.UTF_8);

    @FuzzTest(maxDuration = "1m")
    void stays_below_its_target(FuzzedDataProvider data) throws IOException {
        Path folder = Files.createTempDirectory("thimble-fuzz");
        try {
            Path precious = Files.write(folder.resolve("precious"), PRECIOUS);
            Path target = folder.resolve("target");
            boolean second = data.consumeBoolean();
            copy(GuestFrames.script(data, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47), target);
            if (second) {
                copy(GuestFrames.script(data, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47), target);
            }
            open(folder);
            check(folder, precious, target);
        } finally {
            delete(folder);
        }
    }

    private static void copy(ScriptedChannel guest, Path target) {
        try {
            new AgentClient(() -> guest).copyOut("/x", target, LIMITS);
        } catch (IOException e) {
            // what a guest deserves that breaks a rule
        }
    }

    /** Lets everybody list what the guest has locked. */
    private static void open(Path directory) throws IOException {
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
        try (Stream<Path> names = Files.list(directory)) {
            for (Path name : names.toList()) {
                if (Files.isDirectory(name, LinkOption.NOFOLLOW_LINKS)) {
                    open(name);
                }
            }
        }
    }

    private static void check(Path folder, Path precious, Path target) throws IOException {
        try (Stream<Path> names = Files.list(folder)) {
            List<Path> left = names.filter(name -> !name.equals(precious) && !name.equals(target))
                    .toList();
            if (!left.isEmpty() || !Arrays.equals(Files.readAllBytes(precious), PRECIOUS)) {
                throw new AssertionError("it has left its target: " + left);
            }
        }
        if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
            try (Stream<Path> all = Files.walk(target)) {
                if (all.count() > 2 * LIMITS.maxEntries()) {
                    throw new AssertionError("too much");
                }
            }
        }
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
