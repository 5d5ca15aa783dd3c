package io.thimble.cli;

import io.thimble.vmm.Disk;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * A host with a true KVM, emulated by QEMU: {@code kvm-host/run} with one command, and a virtio port for the launcher that runs
 * there. Its files are in a directory that {@link #close} removes.
 */
final class NestedHost implements AutoCloseable {
    /** What a restored host needs for itself and the JVM in it, and the least that it gets, in MiB. */
    private static final int OWN_MEMORY = 2048;

    private static final int LEAST_MEMORY = 3072;
    private static final int MEBIBYTE_SHIFT = 20;
    private static final long PATIENCE_SECONDS = 10;
    private static final String JVM = "exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Xmx512m"
            + " --enable-native-access=ALL-UNNAMED -cp '" + NestedPlan.CODE + "classes/*' ";

    private final Path script;
    private final Path directory;
    private final Process process;
    private final ServerSocketChannel server;
    private final Thread messages;

    /**
     * Starts it.
     *
     * @param root the checkout that has {@code kvm-host}
     * @param listener gets what the runner says, a line each, on a thread of its own
     * @throws IOException if files cannot be copied, or the program cannot be started
     */
    NestedHost(Path root, NestedPlan plan, RunOptions options, String terminalType, Consumer<String> listener)
            throws IOException {
        script = root.resolve("kvm-host/run");
        directory = Files.createTempDirectory("thimble-nested");
        try {
            Files.createDirectories(directory.resolve("code/classes"));
            Files.createDirectory(directory.resolve("results"));
            for (String entry : System.getProperty("java.class.path").split(":", -1)) {
                copy(Path.of(entry), directory.resolve("code/classes"));
            }
            for (NestedPlan.Transfer file : plan.files()) {
                Path target = directory.resolve("code").resolve(file.name());
                Files.createDirectories(target.getParent());
                copy(file.host(), target);
            }
            server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            server.bind(UnixDomainSocketAddress.of(directory.resolve("link")));
            process = new ProcessBuilder(command(plan, options, terminalType))
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectOutput(log().toFile())
                    .start();
        } catch (IOException | UncheckedIOException e) {
            removeTree(directory);
            throw e;
        }
        messages = Thread.ofPlatform().name("thimble-nested").daemon(true).start(() -> listen(listener));
    }

    private Path log() {
        return directory.resolve("console");
    }

    private List<String> command(NestedPlan plan, RunOptions options, String terminalType) {
        List<String> words = new ArrayList<>(List.of(
                script.toString(),
                "--deadline",
                "0",
                "--memory",
                String.valueOf(memory(options.memory)),
                "--code",
                directory.resolve("code").toString(),
                "--results",
                directory.resolve("results").toString(),
                "--link",
                directory.resolve("link").toString()));
        for (Disk disk : plan.disks()) {
            words.add(disk.readOnly() ? "--disk-ro" : "--disk");
            words.add(disk.path().toString());
        }
        StringBuilder job = new StringBuilder(JVM)
                .append(NestedMain.class.getName())
                .append(' ')
                .append(quoted(terminalType));
        plan.arguments().forEach(argument -> job.append(' ').append(quoted(argument)));
        words.add("--exec");
        words.add(job.toString());
        return words;
    }

    /** Whole GiB, so that few sizes have a template each. */
    private static int memory(long guest) {
        long needed = OWN_MEMORY + (guest >> MEBIBYTE_SHIFT);
        return needed <= LEAST_MEMORY ? LEAST_MEMORY : Math.toIntExact((needed + 1023) / 1024 * 1024);
    }

    static String quoted(String word) {
        return "'" + word.replace("'", "'\\''") + "'";
    }

    private void listen(Consumer<String> listener) {
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8))) {
            lines.lines().forEach(listener);
        } catch (IOException | UncheckedIOException _) {
            // It has ended; its status tells how.
        } finally {
            closeServer();
        }
    }

    private void closeServer() {
        try {
            server.close();
        } catch (IOException _) {
            // Nobody connects any more, which is what was asked for.
        }
    }

    /**
     * Waits until the host has opened its end of the link.
     *
     * @throws IOException if it ended instead: {@link #explain} says why
     */
    Link connect() throws IOException {
        try {
            SocketChannel channel = server.accept();
            return new Link(channel, channel);
        } catch (AsynchronousCloseException e) {
            throw new IOException("it ended before it was ready", e);
        }
    }

    /** Waits for the end and returns {@code kvm-host/run}'s exit status. */
    int await() throws InterruptedException {
        messages.join();
        return process.waitFor();
    }

    /** Returns the last that its console said; empty if it said nothing. */
    String explain() {
        try {
            List<String> lines = Files.readString(log(), StandardCharsets.ISO_8859_1)
                    .lines()
                    .filter(line -> !line.isBlank())
                    .toList();
            return lines.isEmpty() ? "" : ": " + lines.getLast();
        } catch (IOException e) {
            return ": " + e.getMessage();
        }
    }

    /** Brings a result to this host. */
    void fetch(NestedPlan.Transfer result) throws IOException {
        Path source = directory.resolve("results").resolve(result.name());
        if (Files.exists(source, LinkOption.NOFOLLOW_LINKS)) {
            run(
                    "cp",
                    "-a",
                    "-T",
                    "--remove-destination",
                    "--",
                    source.toString(),
                    result.host().toString());
        }
    }

    private static void copy(Path source, Path target) throws IOException {
        run("cp", "-aH", "--reflink=auto", "--", source.toString(), target.toString());
    }

    private static void run(String... command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            if (process.waitFor() != 0) {
                throw new IOException(said.strip());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(String.format(Locale.ROOT, "%s was interrupted", command[0]), e);
        }
    }

    private static void removeTree(Path tree) throws IOException {
        run("rm", "-rf", "--", tree.toString());
    }

    /** Has it end. */
    void end() {
        process.destroy();
    }

    /** Ends it if it runs, and removes its files. May be called again. */
    @Override
    public void close() throws IOException {
        closeServer();
        end();
        try {
            if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
        removeTree(directory);
    }
}
