package io.thimble.it.support;

import io.thimble.vmm.agent.CpioWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;

/**
 * The bundled initial RAM disk with programs of the tests in it, built from {@code src/test/c}; or from the directory that the system
 * property {@code thimble.it.guest} names, with the sources in {@code sources} and the bundled busybox ({@code kvm-host/run}).
 */
public final class GuestFiles {
    private static final String GIVEN = "thimble.it.guest";
    private static final Path SOURCES = Path.of("src/test/c");
    private static final Path BUILT = Path.of("target/guest");

    private GuestFiles() {}

    /**
     * Returns the bundled initial RAM disk with {@code /bin/PROGRAM}.
     *
     * @param program its source is {@code src/test/c/PROGRAM.c}, built by musl-gcc unless that was done before
     */
    public static synchronized Path initrdWith(String program) throws IOException, InterruptedException {
        Path binary = built(program);
        Files.createDirectories(BUILT);
        Path initrd = BUILT.resolve(program + ".initrd");
        if (isOlder(initrd, binary) || isOlder(initrd, LinuxVm.initrd())) {
            Path draft = Files.createTempFile(BUILT, program, ".draft");
            try (OutputStream out = Files.newOutputStream(draft)) {
                Files.copy(LinuxVm.initrd(), out);
                out.write(new byte[(int) (-Files.size(LinuxVm.initrd()) & 3)]);
                CpioWriter cpio = new CpioWriter(out);
                cpio.file("bin/" + program, 0755, Files.readAllBytes(binary));
                cpio.finish();
            }
            Files.move(draft, initrd, StandardCopyOption.ATOMIC_MOVE);
        }
        return initrd.toAbsolutePath();
    }

    /** Returns the source {@code src/test/c/PROGRAM.c}. */
    public static Path source(String program) {
        return given("sources").orElse(SOURCES).resolve(program + ".c");
    }

    /** Returns the bundled guest's busybox, which runs on the host as well. */
    public static Path busybox() {
        return given("busybox")
                .orElse(Path.of("../guest-linux/rootfs/busybox"))
                .toAbsolutePath()
                .normalize();
    }

    /** Returns where a file is in the directory that was given, if one was. */
    private static Optional<Path> given(String file) {
        return Optional.ofNullable(System.getProperty(GIVEN)).map(directory -> Path.of(directory, file));
    }

    /** Returns the program that {@code src/test/c/PROGRAM.c} is the source of. */
    static synchronized Path built(String program) throws IOException, InterruptedException {
        Optional<Path> given = given(program);
        if (given.isPresent()) {
            return given.get();
        }
        Files.createDirectories(BUILT);
        Path binary = BUILT.resolve(program);
        if (isOlder(binary, source(program))) {
            compile(program, binary);
        }
        return binary;
    }

    private static boolean isOlder(Path made, Path from) throws IOException {
        return !Files.exists(made) || Files.getLastModifiedTime(made).compareTo(Files.getLastModifiedTime(from)) < 0;
    }

    private static void compile(String program, Path binary) throws IOException, InterruptedException {
        List<String> command = List.of(SOURCES.resolve("build").toString(), program, binary.toString());
        Process compiler = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(compiler.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (compiler.waitFor() != 0) {
            throw new IOException(String.join(" ", command) + ": " + said);
        }
    }
}
