package io.thimble.it.cli;

import io.thimble.it.support.Scripts;
import io.thimble.it.support.Scripts.Result;
import java.io.File;
import java.io.IOException;

/** Runs the checkout's {@code ./thimble}, as a user does. */
final class Launcher {
    private Launcher() {}

    static ProcessBuilder command(String... arguments) {
        return Scripts.command("thimble", arguments);
    }

    /** Builds what has to be built, so that no test waits for it or sees its progress. */
    static void build() {
        Result result = run("--version");
        if (result.status() != 0) {
            throw new AssertionError("./thimble --version: status " + result.status() + ": " + result.err());
        }
    }

    /** Runs it to its end with {@code input} on its standard input. */
    static Result run(byte[] input, String... arguments) {
        return Scripts.run(command(arguments), input);
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
}
