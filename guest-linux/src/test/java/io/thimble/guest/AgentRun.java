package io.thimble.guest;

import io.thimble.vmm.agent.AgentListener;
import io.thimble.vmm.agent.CommandSegment;
import io.thimble.vmm.agent.ControlChannel;
import io.thimble.vmm.agent.StopAction;
import io.thimble.vmm.agent.StopCause;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The committed agent as an ordinary process, its control channel on a pseudo-terminal. One thread, every wait bounded. */
final class AgentRun implements AutoCloseable, AgentListener {
    private static final Path AGENT = Path.of("agent/thimble-agent").toAbsolutePath();
    private static final Duration DEADLINE = Duration.ofSeconds(30);

    final List<String> told = new ArrayList<>();
    final Pty control = new Pty();
    final ControlChannel channel = new ControlChannel(this, control::write);
    final Process process;
    private final BufferedReader output;

    AgentRun(ProcessBuilder.Redirect input, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(
                List.of(AGENT.toString(), "--control", control.path().toString()));
        command.addAll(Arrays.asList(arguments));
        process = new ProcessBuilder(command)
                .redirectInput(input)
                .redirectErrorStream(true)
                .start();
        output = process.inputReader(StandardCharsets.UTF_8);
    }

    /** Runs a command given as arguments. */
    static AgentRun command(String... command) throws IOException {
        String[] arguments = new String[command.length + 1];
        arguments[0] = "--";
        System.arraycopy(command, 0, arguments, 1, command.length);
        return new AgentRun(ProcessBuilder.Redirect.PIPE, arguments);
    }

    /** Runs what a command segment says, unpacked into {@code root} as the kernel would. */
    static AgentRun segment(Path root, CommandSegment segment) throws IOException {
        unpack(segment.toBytes(), root);
        return new AgentRun(
                ProcessBuilder.Redirect.PIPE,
                "--segment",
                root.resolve(".thimble").toString());
    }

    private static void unpack(byte[] cpio, Path root) throws IOException {
        String text = new String(cpio, StandardCharsets.ISO_8859_1);
        for (int at = 0; ; ) {
            int size = Integer.parseInt(text.substring(at + 54, at + 62), 16);
            int nameSize = Integer.parseInt(text.substring(at + 94, at + 102), 16);
            String name = text.substring(at + 110, at + 110 + nameSize - 1);
            int data = at + 110 + nameSize + 3 & ~3;
            if (name.equals("TRAILER!!!")) {
                return;
            } else if (text.startsWith("000041", at + 14)) {
                Files.createDirectory(root.resolve(name));
            } else {
                Files.write(root.resolve(name), Arrays.copyOfRange(cpio, data, data + size));
            }
            at = data + size + 3 & ~3;
        }
    }

    @Override
    public void hello(int version, boolean init, long uptimeMicros, String kernelRelease) {
        told.add("hello " + version + " " + init + " " + kernelRelease);
    }

    @Override
    public void ready(long uptimeMicros) {
        told.add("ready");
    }

    @Override
    public void exit(int status, boolean stopped) {
        told.add("exit " + status + (stopped ? " stopped" : ""));
    }

    @Override
    public void stopping(StopAction action, StopCause cause) {
        told.add("stopping " + action + " " + cause);
    }

    @Override
    public void log(String line) {
        told.add("log " + line);
    }

    /** Waits until the agent has told something that starts like this; fails at the deadline. */
    void awaitTold(String start) {
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (told.stream().noneMatch(line -> line.startsWith(start))) {
            long rest = end - System.nanoTime();
            if (rest <= 0) {
                throw new AssertionError("no \"" + start + "\" in time, only " + told);
            }
            byte[] bytes = control.read(Duration.ofNanos(rest));
            channel.accept(bytes, 0, bytes.length);
        }
    }

    String readLine() throws IOException {
        return String.valueOf(output.readLine());
    }

    /** Waits for the end and returns the agent's own exit status. */
    int awaitEnd() throws InterruptedException {
        if (!process.waitFor(DEADLINE.toSeconds(), TimeUnit.SECONDS)) {
            throw new AssertionError("the agent has not ended, it told " + told);
        }
        return process.exitValue();
    }

    /** All output that was not read yet; the agent and its command must have ended. */
    String rest() throws IOException {
        try (BufferedReader reader = output) {
            StringBuilder text = new StringBuilder();
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                text.append(line).append('\n');
            }
            return text.toString();
        }
    }

    @Override
    public void close() throws IOException {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
        output.close();
        control.close();
    }
}
