package io.thimble.it.support;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** The checkout's scripts, run as a user does. */
public final class Scripts {
    private static final long DEADLINE_SECONDS = 300;

    private Scripts() {}

    /**
     * How a script ended.
     *
     * @param status its exit status
     * @param out what it wrote, one character a byte
     * @param err what it said
     */
    public record Result(int status, String out, String err) {}

    private static Path find(String script) {
        Path folder = Path.of("").toAbsolutePath();
        while (!Files.isExecutable(folder.resolve(script))) {
            folder = folder.getParent();
            if (folder == null) {
                throw new IllegalStateException("no " + script + " above the working directory");
            }
        }
        return folder.resolve(script);
    }

    /**
     * Describes a run.
     *
     * @param script its path in the checkout
     */
    public static ProcessBuilder command(String script, String... arguments) {
        // Whoever runs the tests in the background may have had SIGINT ignored, which a child would inherit.
        List<String> words = new ArrayList<>(
                List.of("env", "--default-signal=INT", find(script).toString()));
        words.addAll(List.of(arguments));
        return new ProcessBuilder(words);
    }

    /** Runs it to its end with {@code input} on its standard input. */
    public static Result run(ProcessBuilder command, byte[] input) {
        try {
            Process process = command.start();
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

    /** Returns the exit status; a process that does not end in time is ended, and the test fails. */
    public static int await(Process process) {
        try {
            if (process.waitFor(DEADLINE_SECONDS, TimeUnit.SECONDS)) {
                return process.exitValue();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
        process.destroyForcibly();
        throw new AssertionError(
                process.info().commandLine().orElse("the script") + " did not end within " + DEADLINE_SECONDS + " s");
    }

    private static byte[] readAll(InputStream stream) {
        try (stream) {
            return stream.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
