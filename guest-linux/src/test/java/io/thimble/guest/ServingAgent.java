package io.thimble.guest;

import io.thimble.vmm.guest.AgentClient;
import io.thimble.vmm.guest.AgentConnector;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The agent as an ordinary process that takes connections on a Unix socket. */
final class ServingAgent implements AutoCloseable, AgentConnector {
    static final Path COMMITTED = Path.of("agent/thimble-agent").toAbsolutePath();
    private static final Duration DEADLINE = Duration.ofSeconds(60);

    final Process process;
    final AgentClient client = new AgentClient(this);
    private final UnixDomainSocketAddress address;

    /** Starts {@code agent} with a socket in {@code folder}, and waits until it listens. */
    ServingAgent(Path agent, Path folder, String... arguments) throws Exception {
        Path socket = folder.resolve("agent");
        address = UnixDomainSocketAddress.of(socket);
        // As a shell starts it in the background: with INT ignored, which programs must not inherit.
        List<String> command = new ArrayList<>(List.of(
                "sh",
                "-c",
                "trap '' INT QUIT; exec \"$0\" \"$@\"",
                agent.toString(),
                "--control",
                "/dev/null",
                "--segment",
                folder.resolve("none").toString(),
                "--listen",
                "unix:" + socket));
        command.addAll(List.of(arguments));
        process = new ProcessBuilder(command)
                .redirectError(folder.resolve("stderr").toFile())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        awaitListening();
    }

    private void awaitListening() throws IOException {
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (true) {
            try (SocketChannel _ = connect()) {
                return;
            } catch (IOException e) {
                if (!process.isAlive() || System.nanoTime() > end) {
                    throw e;
                }
                Thread.onSpinWait();
            }
        }
    }

    @Override
    public SocketChannel connect() throws IOException {
        return SocketChannel.open(address);
    }

    /** Listens where a session may connect to. */
    static ServerSocketChannel listen(Path socket) throws IOException {
        return ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(UnixDomainSocketAddress.of(socket));
    }

    @Override
    public void close() {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly()
                .onExit()
                .orTimeout(DEADLINE.toSeconds(), TimeUnit.SECONDS)
                .join();
    }
}
