package io.thimble.it.support;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.linux.Programs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Runs a program of the tests as the user nobody, with no capability and no group: needs root. The tests' class path is copied to where
 * that user can read it, and in the program's own mount namespace /dev/kvm is everybody's.
 */
public final class UnprivilegedJava implements AutoCloseable {
    private static final String USER = "65534";
    /** By its path, since a busybox's shell takes its own before any, which cannot do this. */
    private static final String AS_USER = Programs.find("setpriv").orElse(Path.of("setpriv")) + " --reuid=" + USER
            + " --regid=" + USER + " --clear-groups ";

    private final Path folder;
    private final String classPath;

    /** Copies the class path. Skips the test if the JDK is not for that user to read. */
    public UnprivilegedJava() throws IOException {
        int status = Commands.run(List.of("sh", "-c", AS_USER + java() + " -version"))
                .status();
        assumeTrue(status == 0, "the user nobody cannot run " + java());
        folder = Files.createTempDirectory(
                "thimble-it", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
        // Failsafe names the class path so, since its own is a jar that only refers to it.
        String tests = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        List<String> copies = new ArrayList<>();
        for (String entry : tests.split(":", -1)) {
            if (Files.exists(Path.of(entry))) {
                Path copy = folder.resolve(copies.size() + (Files.isDirectory(Path.of(entry)) ? "" : ".jar"));
                Commands.check("cp", "-rL", entry, copy.toString());
                copies.add(copy.toString());
            }
        }
        classPath = copies.stream().collect(Collectors.joining(":"));
        Commands.check("chmod", "-R", "a+rX", folder.toString());
        Commands.check(
                "sh",
                "-c",
                "cd " + folder + " && mkdir tmp && chown " + USER + " tmp && mknod kvm c 10 232 && chmod 666 kvm");
    }

    private static Path java() {
        return Path.of(System.getProperty("java.home"), "bin", "java");
    }

    /** Describes a run of a class with a {@code main}, in a network. */
    public ProcessBuilder command(NetNamespace network, Class<?> program, String... arguments) {
        List<String> command = network.command(
                "sh",
                "-c",
                "mount --make-rprivate / && mount --bind " + folder + "/kvm /dev/kvm && exec " + AS_USER + "\"$@\"",
                "sh",
                java().toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED",
                "-Djava.io.tmpdir=" + folder + "/tmp",
                "-cp",
                classPath,
                program.getName());
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().put("THIMBLE_CACHE", folder + "/tmp/cache");
        builder.environment().put("HOME", folder + "/tmp");
        return builder;
    }

    @Override
    public void close() {
        Commands.check("rm", "-rf", folder.toString());
    }
}
