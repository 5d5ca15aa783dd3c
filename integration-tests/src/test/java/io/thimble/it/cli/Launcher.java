package io.thimble.it.cli;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Runs the checkout's {@code ./thimble}, as a user does. */
final class Launcher {
    private static final long DEADLINE_SECONDS = 300;
    private static final Path ROOT = root();

    /**
     * How it ended.
     *
     * @param status its exit status
     * @param out what it wrote, one character a byte
     * @param err what it said
     */
    record Result(int status, String out, String err) {}

    private Launcher() {}

    private static Path root() {
        Path folder = Path.of("").toAbsolutePath();
        while (!Files.isExecutable(folder.resolve("thimble"))) {
            folder = folder.getParent();
            if (folder == null) {
                throw new IllegalStateException("no ./thimble above the working directory");
            }
        }
        return folder;
    }

    static ProcessBuilder command(String... arguments) {
        // Whoever runs the tests in the background may have had SIGINT ignored, which a child would inherit.
        List<String> words = new ArrayList<>(
                List.of("env", "--default-signal=INT", ROOT.resolve("thimble").toString()));
        words.addAll(List.of(arguments));
        return new ProcessBuilder(words);
    }

    /** Builds what has to be built, so that no test waits for it or sees its progress. */
    static void build() {
        Result result = run(new byte[0], "--version");
        if (result.status() != 0) {
            throw new AssertionError("./thimble --version: status " + result.status() + ": " + result.err());
        }
    }

    /** Runs it to its end with {@code input} on its standard input. */
    static Result run(byte[] input, String... arguments) {
        try {
            Process process = command(arguments).start();
            CompletableFuture<byte[]> out = CompletableFuture.supplyAsync(() -> readAll(process.getInputStream()));
            CompletableFuture<byte[]> err = CompletableFuture.supplyAsync(() -> readAll(process.getErrorStream()));
            try (var stdin = process.getOutputStream()) {
                stdin.write(input);
            } catch (IOException _) {
                // It ended before it read everything.
            }
            return new Result(
                    await(process),
                    new String(out.join(), StandardCharsets.ISO_8859_1),
                    new String(err.join(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Result run(String... arguments) {
        return run(new byte[0], arguments);
    }

    /** Starts it on a terminal. */
    static Process onTerminal(Pty terminal, String... arguments) throws IOException {
        File device = terminal.path().toFile();
        return command(arguments)
                .redirectInput(device)
                .redirectOutput(device)
                .redirectError(device)
                .start();
    }

    /** Returns the exit status; a process that does not end in time is killed, and the test fails. */
    static int await(Process process) {
        try {
            if (process.waitFor(DEADLINE_SECONDS, TimeUnit.SECONDS)) {
                return process.exitValue();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
        process.destroyForcibly();
        throw new AssertionError("./thimble did not end within " + DEADLINE_SECONDS + " s");
    }

    private static byte[] readAll(java.io.InputStream stream) {
        try (stream) {
            return stream.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
