package io.thimble.vmm.machine;

import io.thimble.linux.Fd;
import io.thimble.linux.LinuxException;
import io.thimble.linux.Programs;
import io.thimble.linux.UnixSockets;
import io.thimble.virtio.net.NetBackend;
import io.thimble.virtio.net.StreamBackend;
import io.thimble.vmm.MicroVmException;
import io.thimble.vmm.MicroVmException.Problem;
import io.thimble.vmm.Network;
import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * The program passt (passt(1)), started for one card and ended with it. It leaves by itself when its socket closes, so that it
 * outlives no VM, not even one whose process was killed.
 */
final class PasstProcess {
    private static final String PROGRAM = "passt";
    /** What passt tells guests by DHCP unless told otherwise: the largest MTU of 802.3, rounded to 4 bytes. */
    static final int MTU = 65520;

    private static final Duration START_LIMIT = Duration.ofSeconds(10);
    private static final Duration END_LIMIT = Duration.ofSeconds(2);
    private static final int POLL_MILLIS = 5;
    private static final String UNPRIVILEGED = "nobody";

    private final Process process;
    private final Path directory;
    private final Path errors;
    /** How many lines it had said when it was connected. */
    private volatile int linesBefore;

    private PasstProcess(Process process, Path directory, Path errors) {
        this.process = process;
        this.directory = directory;
        this.errors = errors;
    }

    /**
     * Starts it and connects to it.
     *
     * @param mtu that it tells the guest
     * @throws MicroVmException if it is not installed, or does not start; the message has its own words
     */
    static NetBackend start(Network.Passt settings, int mtu) {
        Path program = Programs.find(PROGRAM)
                .orElseThrow(() -> new MicroVmException(
                        Problem.HOST, "passt is not installed - apt-get install passt, or use a TAP or a switch"));
        try {
            Path directory = Files.createTempDirectory(
                    "thimble-passt",
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            if (Files.getOwner(directory).getName().equals("root")) {
                // Started by root it becomes this user before it makes its socket.
                Files.setOwner(
                        directory,
                        FileSystems.getDefault().getUserPrincipalLookupService().lookupPrincipalByName(UNPRIVILEGED));
            }
            Path errors = directory.resolve("log");
            Path socket = directory.resolve("socket");
            Process process = new ProcessBuilder(command(program, socket, settings, mtu))
                    .redirectErrorStream(true)
                    .redirectOutput(errors.toFile())
                    .start();
            process.getOutputStream().close();
            return new PasstProcess(process, directory, errors).connect(socket, mtu);
        } catch (IOException e) {
            throw new MicroVmException(Problem.HOST, "passt cannot be started: " + Messages.of(e), e);
        }
    }

    private static List<String> command(Path program, Path socket, Network.Passt settings, int mtu) {
        List<String> command = new ArrayList<>(List.of(
                program.toString(),
                "--foreground",
                "--stderr",
                "--one-off",
                "--mtu",
                Integer.toString(mtu),
                "--socket",
                socket.toString()));
        if (settings.published().isEmpty()) {
            // Else the gateway's address would lead to what listens on the host's loopback address only. With it, passt
            // (2023, at least) takes no answer to a connection that comes from there.
            command.add("--no-map-gw");
        } else {
            command.add("--tcp-ports");
            command.add(settings.published().stream()
                    .map(p -> p.address().orElse("127.0.0.1") + "/" + p.hostPort() + ":" + p.guestPort())
                    .collect(Collectors.joining(",")));
        }
        return command;
    }

    private NetBackend connect(Path socket, int mtu) {
        long end = System.nanoTime() + START_LIMIT.toNanos();
        while (true) {
            try (UnixSockets sockets = new UnixSockets()) {
                Fd fd = sockets.connect(socket.toString());
                linesBefore = lines().size();
                return new StreamBackend("passt", fd, mtu, this::words, this::end);
            } catch (LinuxException e) {
                if (!process.isAlive() || System.nanoTime() > end) {
                    String said = words();
                    end();
                    throw new MicroVmException(
                            Problem.HOST, "passt does not start: " + (said.isEmpty() ? "it says nothing" : said), e);
                }
            }
            pause();
        }
    }

    private void pause() {
        try {
            boolean _ = process.waitFor(POLL_MILLIS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            end();
            Thread.currentThread().interrupt();
            throw new MicroVmException(Problem.HOST, "interrupted while passt started", e);
        }
    }

    /** Returns the end of what it has said since it was connected, on one line; empty if it has said nothing. */
    private String words() {
        List<String> lines = lines();
        List<String> news = lines.subList(Math.min(linesBefore, lines.size()), lines.size());
        return news.subList(Math.max(0, news.size() - 3), news.size()).stream()
                .map(String::strip)
                .collect(Collectors.joining("; "));
    }

    private List<String> lines() {
        try {
            return Files.readAllLines(errors).stream()
                    .filter(line -> !line.isBlank()
                            && !line.startsWith("Failed to send")
                            && !line.startsWith("accepted connection"))
                    .toList();
        } catch (IOException e) {
            return List.of(Messages.of(e));
        }
    }

    /** Ends it and removes its files. */
    private void end() {
        process.destroy();
        try {
            if (!process.waitFor(END_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        try (var files = Files.list(directory)) {
            for (Path file : files.toList()) {
                Files.deleteIfExists(file);
            }
            Files.deleteIfExists(directory);
        } catch (IOException _) {
            // Left in the temporary directory: nothing depends on it.
        }
    }
}
