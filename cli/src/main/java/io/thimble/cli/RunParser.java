package io.thimble.cli;

import io.thimble.cli.RunOptions.Talk;
import io.thimble.cli.RunOptions.Word;
import io.thimble.vmm.ConsoleKind;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.Network;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads the command line of {@code thimble run}. Written by hand, because loading a parser library takes longer than
 * everything else that the launcher does before the guest runs.
 *
 * <p>Options come first, as {@code --name value} or {@code --name=value}; the command begins behind {@code --} or with the
 * first word that is no option.
 */
final class RunParser {
    private static final List<String> NAMES = List.of(
            "--vcpus",
            "--memory",
            "--kernel",
            "--pvh",
            "--unpack",
            "--initrd",
            "--no-initrd",
            "--append",
            "--balloon",
            "--net",
            "--publish",
            "--rings",
            "--no-acpi",
            "--console",
            "--prefault",
            "--disk",
            "--name",
            "--env",
            "--hostname",
            "--workdir",
            "--vsock",
            "--copy-in",
            "--copy-out",
            "--nested",
            "--timeline",
            "--quiet",
            "--verbose",
            "--help");

    private RunParser() {}

    /**
     * Reads what follows the word {@code run}.
     *
     * @throws UsageException if an option is unknown, lacks its value or contradicts another
     */
    static RunOptions parse(List<String> arguments) {
        RunOptions options = new RunOptions();
        Deque<String> rest = new ArrayDeque<>(arguments);
        while (!rest.isEmpty() && rest.getFirst().startsWith("-")) {
            String word = rest.removeFirst();
            if (word.equals("--")) {
                break;
            }
            apply(options, word, rest);
        }
        options.command = List.copyOf(rest);
        if (!options.help) {
            check(options);
        }
        return options;
    }

    private static void apply(RunOptions options, String word, Deque<String> rest) {
        int equals = word.startsWith("--") ? word.indexOf('=') : -1;
        String name = equals < 0 ? word : word.substring(0, equals);
        if (setFlag(options, name)) {
            if (equals >= 0) {
                throw new UsageException(name + " takes no value");
            }
            options.words.add(new Word(name, null));
            return;
        }
        String value = equals >= 0 ? word.substring(equals + 1) : rest.peekFirst();
        if (!setValue(options, name, value)) {
            throw new UsageException("run has no option " + name + Suggestion.among(name, NAMES)
                    + "; a command that begins with a dash follows --");
        }
        options.words.add(new Word(name, value));
        if (equals < 0) {
            rest.removeFirst();
        }
    }

    private static boolean setFlag(RunOptions options, String name) {
        switch (name) {
            case "--pvh" -> options.pvh = true;
            case "--unpack" -> options.unpack = true;
            case "--no-initrd" -> options.noInitrd = true;
            case "--no-acpi" -> options.acpi = false;
            case "--prefault" -> options.prefault = true;
            case "--balloon" -> options.balloon = true;
            case "--nested" -> options.nested = true;
            case "--timeline" -> options.timeline = true;
            case "-q", "--quiet" -> options.talk = Talk.QUIET;
            case "-v", "--verbose" -> options.talk = Talk.VERBOSE;
            case "-h", "--help" -> options.help = true;
            default -> {
                return false;
            }
        }
        return true;
    }

    private static boolean setValue(RunOptions options, String name, @Nullable String value) {
        switch (name) {
            case "--vcpus" -> options.vcpus = number(name, given(name, value));
            case "-m", "--memory" -> options.memory = Sizes.parse(name, given(name, value));
            case "--kernel" -> options.kernel = given(name, value);
            case "--initrd" -> options.initrd = given(name, value);
            case "--append" -> options.append.add(given(name, value));
            case "--net" -> options.networks.add(NetOption.parse(given(name, value)));
            case "--publish" -> publish(options, given(name, value));
            case "--rings" -> options.packedRings = packedRings(given(name, value));
            case "--console" -> options.console = console(given(name, value));
            case "--disk" -> options.disks.add(DiskOption.parse(given(name, value)));
            case "--name" -> options.name = given(name, value);
            case "-e", "--env" -> addVariable(options, given(name, value));
            case "--copy-in" -> options.copyIn.add(Copy.in(given(name, value)));
            case "--copy-out" -> options.copyOut.add(Copy.out(given(name, value)));
            case "--hostname" -> options.hostname = given(name, value);
            case "-w", "--workdir" -> options.directory = given(name, value);
            case "--vsock" -> options.vsock = given(name, value);
            default -> {
                return false;
            }
        }
        return true;
    }

    /** A port leads to the card that was named last. */
    private static void publish(RunOptions options, String ports) {
        if (options.networks.isEmpty()) {
            throw new UsageException("--publish " + ports + ": comes behind --net passt");
        }
        try {
            Network card = options.networks.removeLast();
            options.networks.add(card.withPublished(Network.Published.parse(ports)));
        } catch (MicroVmException e) {
            throw new UsageException("--publish " + ports + ": " + e.getMessage());
        }
    }

    private static String given(String name, @Nullable String value) {
        if (value == null) {
            throw new UsageException(name + " needs a value");
        }
        return value;
    }

    private static ConsoleKind console(String text) {
        return switch (text) {
            case "ttyS0" -> ConsoleKind.SERIAL;
            case "hvc0" -> ConsoleKind.VIRTIO;
            default -> throw new UsageException("--console " + text + ": there are ttyS0 and hvc0");
        };
    }

    private static boolean packedRings(String text) {
        return switch (text) {
            case "split" -> false;
            case "packed" -> true;
            default -> throw new UsageException("--rings " + text + ": there are split and packed");
        };
    }

    private static int number(String option, String text) {
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException _) {
            throw new UsageException(option + " " + text + ": not a number");
        }
    }

    private static void addVariable(RunOptions options, String text) {
        int equals = text.indexOf('=');
        if (equals < 1) {
            throw new UsageException("--env " + text + ": write NAME=VALUE");
        }
        options.environment.put(text.substring(0, equals), text.substring(equals + 1));
    }

    private static void check(RunOptions options) {
        if (options.initrd != null && options.noInitrd) {
            throw new UsageException("--initrd and --no-initrd contradict each other");
        }
        if ((options.pvh || options.unpack) && (options.kernel == null || options.isKrunfw())) {
            throw new UsageException(
                    (options.pvh ? "--pvh" : "--unpack") + " says how to enter the file of --kernel: name one");
        }
        if (options.copies() && !options.hasAgent()) {
            throw new UsageException(
                    "--copy-in and --copy-out need the guest agent of the bundled initial RAM disk: drop --initrd and --no-initrd");
        }
        if (options.noInitrd && !options.command.isEmpty()) {
            throw new UsageException(
                    "--no-initrd leaves out the guest agent, which would run the command: drop either");
        }
    }
}
