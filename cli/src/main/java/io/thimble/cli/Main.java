package io.thimble.cli;

import io.thimble.cli.RunOptions.Talk;
import io.thimble.cli.doctor.Doctor;
import io.thimble.cli.log.StderrLogging;
import io.thimble.linux.LinuxException;
import io.thimble.vmm.MicroVmException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The launcher's entry: picks the command, and turns every failure into one line and an exit status. */
public final class Main {
    /** {@link System#nanoTime} when the launcher's own code began. */
    static final long ENTERED = System.nanoTime();

    private static final List<String> COMMANDS = List.of("run", "doctor", "help", "version");

    private Main() {}

    /** Runs the command and ends the process with its status. */
    public static void main(String[] arguments) {
        System.exit(statusOf(List.of(arguments)));
    }

    /** What the launcher does, to its exit status. */
    @FunctionalInterface
    interface Task {
        int run() throws InterruptedException;
    }

    static int statusOf(List<String> arguments) {
        return statusOf(() -> dispatch(arguments));
    }

    /** Runs the task; whatever goes wrong is said in one line. */
    static int statusOf(Task task) {
        try {
            return task.run();
        } catch (UsageException e) {
            say(e.getMessage() + "; see ./thimble --help");
            return ExitStatus.USAGE;
        } catch (MicroVmException e) {
            say(e.getMessage());
            return ExitStatus.of(e.problem());
        } catch (LinuxException e) {
            say(e.getMessage());
            return ExitStatus.HOST;
        } catch (InterruptedException e) {
            say("interrupted");
            return ExitStatus.HOST;
        } catch (OutOfMemoryError e) {
            say("no memory left for the launcher: " + e.getMessage());
            return ExitStatus.HOST;
        } catch (RuntimeException | Error e) {
            say("a mistake in Thimble, please report it: " + e + " at " + where(e));
            return ExitStatus.INTERNAL;
        }
    }

    private static String where(Throwable e) {
        StackTraceElement[] trace = e.getStackTrace();
        return trace.length == 0 ? "an unknown place" : trace[0].toString();
    }

    private static void say(@Nullable String message) {
        System.err.println("thimble: " + String.valueOf(message).replaceAll("\\s*\\R\\s*", " "));
    }

    private static int dispatch(List<String> arguments) throws InterruptedException {
        if (arguments.isEmpty()) {
            System.err.print(Help.overview());
            return ExitStatus.USAGE;
        }
        List<String> rest = arguments.subList(1, arguments.size());
        return switch (arguments.getFirst()) {
            case "run" -> run(RunParser.parse(rest), new ProcessStreams());
            case "doctor" -> doctor(rest);
            case "help", "--help", "-h" -> print(Help.all());
            case "version", "--version" -> print(Help.version());
            default ->
                throw new UsageException("there is no command " + arguments.getFirst()
                        + Suggestion.among(arguments.getFirst(), COMMANDS));
        };
    }

    /** Runs {@code thimble run}. */
    static int run(RunOptions options, Streams streams) throws InterruptedException {
        if (options.help) {
            return print(Help.all());
        }
        if (options.talk == Talk.VERBOSE) {
            StderrLogging.enable();
        }
        if (options.nested) {
            return new NestedRun(options, streams).run();
        }
        if (options.kernel == null) {
            WarmUp.begin();
        } else {
            Suitability.warn(options);
        }
        try {
            return new RunCommand(options, streams).run();
        } catch (MicroVmException e) {
            if (e.problem() != MicroVmException.Problem.KVM) {
                throw e;
            }
            say(e.getMessage() + Suitability.REMEDY);
            return ExitStatus.KVM;
        }
    }

    private static int doctor(List<String> rest) {
        if (rest.contains("--help") || rest.contains("-h")) {
            return print(Help.all());
        }
        if (!rest.isEmpty()) {
            throw new UsageException("doctor takes no " + rest.getFirst());
        }
        return Doctor.examine(System.out) ? ExitStatus.OK : ExitStatus.UNHEALTHY;
    }

    private static int print(String text) {
        System.out.print(text);
        return ExitStatus.OK;
    }
}
