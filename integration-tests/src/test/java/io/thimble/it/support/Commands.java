package io.thimble.it.support;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Programs of the host that tests use. */
public final class Commands {
    private static final int LIMIT_SECONDS = 120;

    private Commands() {}

    /**
     * What a program has said and how it ended.
     *
     * @param status of its exit
     * @param output of both streams
     */
    public record Result(int status, String output) {}

    /** Runs a program to its end. */
    public static Result run(List<String> command) {
        try {
            Path output = Files.createTempFile("thimble-it", ".out");
            try {
                Process process = new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectInput(Path.of("/dev/null").toFile())
                        .redirectOutput(output.toFile())
                        .start();
                if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                    throw new AssertionError("no end of " + command + ": " + Files.readString(output));
                }
                return new Result(process.exitValue(), Files.readString(output));
            } finally {
                Files.delete(output);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Runs a program that must succeed, and returns what it printed. */
    public static String check(List<String> command) {
        Result result = run(command);
        if (result.status() != 0) {
            throw new AssertionError(command + " ended with " + result.status() + ": " + result.output());
        }
        return result.output();
    }

    /** As {@link #check(List)}. */
    public static String check(String... command) {
        return check(List.of(command));
    }
}
