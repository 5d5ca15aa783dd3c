package io.thimble.cli;

import io.thimble.cli.RunOptions.Talk;
import io.thimble.vmm.Balloon;
import io.thimble.vmm.ConsoleMode;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import java.io.InputStream;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * {@code thimble run}: one VM on the user's streams.
 *
 * <p>If they are a terminal, the guest's console is one as well, and this one is in raw mode until the end, whatever that is:
 * the normal end and signals are covered by a shutdown hook. Otherwise bytes pass as they are.
 */
final class RunCommand {
    private static final Duration LAST_MOMENT = Duration.ofSeconds(3);

    private static final Duration STOP = Duration.ofSeconds(10);

    private final RunOptions options;
    private final Streams streams;
    private final boolean interactive;
    private final ConsoleOutput output;
    private volatile @Nullable MicroVm vm;
    private volatile boolean raw;
    private volatile boolean outputBroken;
    private volatile boolean shuttingDown;
    private long startCalled;

    /** Prepares what {@code options} ask for. */
    RunCommand(RunOptions options, Streams streams) {
        this.options = options;
        this.streams = streams;
        this.interactive = streams.interactive();
        this.output = new ConsoleOutput(streams.out(), this::outputBroke);
    }

    /** Runs the VM and returns the exit status. */
    int run() throws InterruptedException {
        MicroVm newVm = builder().build();
        vm = newVm;
        Runtime.getRuntime().addShutdownHook(new Thread(this::atExit, "thimble-exit"));
        if (interactive && options.talk != Talk.QUIET) {
            System.err.println("thimble: Ctrl-] x ends the VM");
        }
        startCalled = System.nanoTime();
        start(newVm);
        if (interactive) {
            streams.makeRaw();
            raw = true;
        }
        if (options.copies()) {
            return runWithCopies(newVm);
        }
        if (interactive) {
            follow(newVm::setWindowSize);
        }
        ExitReport report = newVm.await();
        streams.restore();
        return finish(newVm, report);
    }

    private int runWithCopies(MicroVm newVm) throws InterruptedException {
        CopyingRun copying = new CopyingRun(newVm, options, streams);
        if (interactive) {
            follow(copying::resize);
        }
        int status = copying.run(input(), output);
        streams.restore();
        ExitReport report = newVm.stop(STOP);
        int ended = finish(newVm, report);
        return report.reason() == ExitReason.POWER_OFF && !outputBroken ? status : ended;
    }

    private void start(MicroVm newVm) {
        if (options.talk == Talk.QUIET) {
            newVm.start();
            return;
        }
        try (Progress _ = new Progress(() -> sayWhatTakesSoLong(newVm))) {
            newVm.start();
        }
    }

    private static void sayWhatTakesSoLong(MicroVm starting) {
        boolean opening = starting.timeline().marks().isEmpty();
        System.err.println("thimble: " + (opening ? "unpacking the kernel" : "setting the VM up") + " ...");
    }

    private MicroVmBuilder builder() {
        MicroVmBuilder builder = MicroVm.builder()
                .vcpus(options.vcpus)
                .memory(options.memory)
                .acpi(options.acpi)
                .prefault(options.prefault)
                .packedRings(options.packedRings)
                .consoleKind(options.console);
        plug(builder);
        if (options.name != null) {
            builder.name(options.name);
        }
        if (options.kernel != null) {
            builder.kernel(kernel(options.kernel));
        }
        if (options.noInitrd) {
            builder.noInitrd();
        } else if (options.initrd != null) {
            builder.initrd(path("--initrd", options.initrd));
        }
        options.append.forEach(builder::append);
        options.disks.forEach(builder::disk);
        options.networks.forEach(builder::network);
        if (options.balloon) {
            builder.balloon(Balloon.create());
        }
        if (options.vsock != null) {
            builder.vsockSocket(path("--vsock", options.vsock));
        }
        return guest(builder);
    }

    private GuestKernel kernel(String text) {
        if (text.equals(RunOptions.KRUNFW)) {
            return GuestKernel.krunfw();
        }
        Path file = path("--kernel", text);
        if (options.isKrunfw()) {
            return GuestKernel.krunfw(file);
        }
        if (options.pvh) {
            return GuestKernel.pvh(file);
        }
        return options.unpack ? GuestKernel.unpacked(file) : GuestKernel.file(file);
    }

    /** The guest's agent brings the command's streams apart; a guest without one has the console. */
    private void plug(MicroVmBuilder builder) {
        if (!options.hasAgent()) {
            builder.console(output).consoleInput(input());
            return;
        }
        if (options.talk == Talk.VERBOSE) {
            builder.console(streams.err());
        }
        if (options.copies()) {
            builder.idle();
            return;
        }
        builder.stdout(output)
                .stderr(streams.err())
                .stdin(input())
                .consoleMode(interactive ? ConsoleMode.TERMINAL : ConsoleMode.STREAM);
    }

    private MicroVmBuilder guest(MicroVmBuilder builder) {
        if (interactive) {
            streams.terminalType().ifPresent(type -> builder.environment("TERM", type));
            streams.windowSize().ifPresent(size -> builder.windowSize(size.rows(), size.columns()));
        }
        options.environment.forEach(builder::environment);
        if (options.hostname != null) {
            builder.hostname(options.hostname);
        }
        if (options.directory != null) {
            builder.directory(options.directory);
        }
        return options.copies() ? builder : builder.command(options.command);
    }

    private static Path path(String option, String text) {
        try {
            return Path.of(text);
        } catch (InvalidPathException e) {
            throw new UsageException(option + ": " + e.getReason());
        }
    }

    private InputStream input() {
        InputStream keys = streams.in();
        return interactive ? new EscapeInput(keys, this::kill) : keys;
    }

    private void kill() {
        MicroVm running = vm;
        if (running != null) {
            running.kill();
        }
    }

    private void outputBroke() {
        outputBroken = true;
        kill();
    }

    private void follow(BiConsumer<Integer, Integer> resize) {
        WindowFollower.follow(
                streams,
                streams.windowSize(),
                now -> now.ifPresent(size -> resize.accept(size.rows(), size.columns())));
    }

    private int finish(MicroVm ended, ExitReport report) {
        if (options.timeline) {
            System.err.print(BootTimeline.text(startCalled, ended.timeline(), output.firstByte()));
            System.err.print(BootTimeline.costs(ended.timeline(), ended.statistics()));
        }
        if (options.talk == Talk.VERBOSE) {
            ended.kernelDescription().ifPresent(kernel -> System.err.println("thimble: kernel " + kernel));
            System.err.println("thimble: " + report.describe() + System.lineSeparator() + ended.statistics());
        }
        if (outputBroken) {
            return ExitStatus.BROKEN_PIPE;
        }
        String explanation = ExitStatus.explain(report);
        if (!explanation.isEmpty() && !shuttingDown) {
            System.err.println("thimble: " + explanation);
        }
        return ExitStatus.of(report);
    }

    /** However this process ends: leaves the terminal as it was, and no VM behind. */
    private void atExit() {
        shuttingDown = true;
        kill();
        streams.restore();
        MicroVm ending = vm;
        try {
            if (ending != null && raw) {
                Optional<ExitReport> _ = ending.await(LAST_MOMENT);
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
