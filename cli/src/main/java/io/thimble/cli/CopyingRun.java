package io.thimble.cli;

import io.thimble.linux.Terminal.WindowSize;
import io.thimble.vmm.ExecBuilder;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestProcess;
import io.thimble.vmm.MicroVm;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Copies, runs the command and copies again, in a guest that is idle meanwhile: a guest with a command of its own ends with it. */
final class CopyingRun {
    private static final int BLOCK = 64 << 10;
    private static final List<String> SHELL = List.of("/bin/sh", "-l");

    private final MicroVm vm;
    private final RunOptions options;
    private final Streams streams;
    private volatile @Nullable GuestProcess process;

    CopyingRun(MicroVm vm, RunOptions options, Streams streams) {
        this.vm = vm;
        this.options = options;
        this.streams = streams;
    }

    /**
     * Does it all; the guest still runs afterwards.
     *
     * @return the command's exit status, or the launcher's
     */
    int run(InputStream stdin, OutputStream stdout) throws InterruptedException {
        try {
            for (Copy copy : options.copyIn) {
                vm.copyIn(copy.host(), copy.guest());
            }
            int status = runCommand(stdin, stdout);
            for (Copy copy : options.copyOut) {
                vm.copyOut(copy.guest(), copy.host());
            }
            return status;
        } catch (GuestException e) {
            System.err.println("thimble: " + e.getMessage());
            return switch (e.problem()) {
                case NOT_FOUND -> ExitStatus.NOT_FOUND;
                case CANNOT_RUN -> ExitStatus.CANNOT_RUN;
                default -> ExitStatus.COPY;
            };
        } catch (IOException e) {
            System.err.println("thimble: copy: " + e.getMessage());
            return ExitStatus.COPY;
        }
    }

    private int runCommand(InputStream stdin, OutputStream stdout) throws IOException, InterruptedException {
        ExecBuilder program = vm.program((options.command.isEmpty() ? SHELL : options.command).toArray(new String[0]));
        if (streams.interactive()) {
            Optional<WindowSize> size = streams.windowSize();
            program.terminal(
                    size.map(WindowSize::rows).orElse(0),
                    size.map(WindowSize::columns).orElse(0));
            streams.terminalType().ifPresent(type -> program.environment("TERM", type));
        }
        options.environment.forEach(program::environment);
        if (options.directory != null) {
            program.directory(options.directory);
        }
        try (GuestProcess started = program.start()) {
            process = started;
            Thread.ofPlatform().daemon(true).name("thimble-stdin").start(() -> feed(started, stdin));
            Thread error = Thread.ofPlatform()
                    .daemon(true)
                    .name("thimble-stderr")
                    .start(() -> move(started.stderr(), streams.err()));
            move(started.stdout(), stdout);
            error.join();
            return started.waitFor();
        } finally {
            process = null;
        }
    }

    /** Tells the command how large its terminal is. */
    void resize(int rows, int columns) {
        GuestProcess running = process;
        if (running != null) {
            try {
                running.resize(rows, columns);
            } catch (GuestException _) {
                // It has ended.
            }
        }
    }

    private static void feed(GuestProcess target, InputStream stdin) {
        try (OutputStream out = target.stdin()) {
            stdin.transferTo(out);
        } catch (IOException _) {
            // Whichever end is gone, no more input passes.
        }
    }

    private static void move(InputStream source, OutputStream target) {
        byte[] block = new byte[BLOCK];
        try (source) {
            for (int n = source.read(block); n >= 0; n = source.read(block)) {
                target.write(block, 0, n);
            }
        } catch (IOException _) {
            // Either end is gone.
        }
    }
}
