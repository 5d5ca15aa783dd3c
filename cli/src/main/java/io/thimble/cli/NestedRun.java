package io.thimble.cli;

import io.thimble.cli.Link.Frame;
import io.thimble.cli.Link.Kind;
import io.thimble.cli.RunOptions.Talk;
import io.thimble.linux.Terminal.WindowSize;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * {@code thimble run --nested}: the same run inside a host whose KVM QEMU emulates, for where there is no KVM or one that cannot run
 * the kernel. The launcher there does what this one would; here its streams are passed on.
 */
final class NestedRun {
    /** A system property: the checkout. */
    private static final String ROOT = "thimble.root";

    private static final int UNAVAILABLE = 69;
    private static final String RUNNER = "kvm-host: ";

    private final RunOptions options;
    private final Streams streams;
    private volatile boolean killed;
    private volatile String lastMessage = "";

    NestedRun(RunOptions options, Streams streams) {
        this.options = options;
        this.streams = streams;
    }

    /** Runs it all and returns the exit status. */
    int run() throws InterruptedException {
        NestedPlan plan = NestedPlan.of(options);
        String root = System.getProperty(ROOT, "");
        if (!Files.isExecutable(Path.of(root, "kvm-host/run"))) {
            throw new UsageException("--nested needs a checkout of Thimble, which has kvm-host/run");
        }
        if (options.talk != Talk.QUIET) {
            say("--nested: in a host that QEMU emulates, 10 to 100 times slower");
        }
        String terminal = streams.interactive() ? streams.terminalType().orElse("dumb") : "";
        try (NestedHost host = new NestedHost(Path.of(root), plan, options, terminal, this::hear)) {
            Thread exit = new Thread(() -> atExit(host), "thimble-exit");
            Runtime.getRuntime().addShutdownHook(exit);
            return converse(host, plan);
        } catch (IOException e) {
            say("--nested: " + e.getMessage());
            return ExitStatus.HOST;
        }
    }

    private void atExit(NestedHost host) {
        streams.restore();
        try {
            host.close();
        } catch (IOException e) {
            say("--nested: " + e.getMessage());
        }
    }

    /** Of what the runner says, the last is kept for the case that it fails. */
    private void hear(String line) {
        String message = line.startsWith(RUNNER) ? line.substring(RUNNER.length()) : line;
        lastMessage = message;
        if (options.talk == Talk.VERBOSE) {
            say("--nested: " + message);
        }
    }

    private void say(String text) {
        System.err.println("thimble: " + text);
    }

    private int converse(NestedHost host, NestedPlan plan) throws IOException, InterruptedException {
        Link opened;
        try {
            opened = host.connect();
        } catch (IOException _) {
            return failed(host);
        }
        try (Link link = opened) {
            if (streams.interactive()) {
                Optional<WindowSize> size = streams.windowSize();
                sendWindow(link, size);
                streams.makeRaw();
                WindowFollower.follow(streams, size, now -> sendWindow(link, now));
            }
            Thread.ofPlatform().daemon(true).name("thimble-stdin").start(() -> feed(link, host));
            Integer status = passOn(link);
            streams.restore();
            if (status == null) {
                return killed ? ExitStatus.KILLED : failed(host);
            }
            for (NestedPlan.Transfer result : plan.results()) {
                host.fetch(result);
            }
            return status;
        }
    }

    private int failed(NestedHost host) throws InterruptedException {
        int status = host.await();
        if (killed) {
            return ExitStatus.KILLED;
        }
        say("--nested: " + (status == UNAVAILABLE ? lastMessage : lastMessage + host.explain()));
        return status == UNAVAILABLE ? ExitStatus.KVM : ExitStatus.HOST;
    }

    /** Passes output on until the end; returns the exit status, or null if the link ended without one. */
    private @Nullable Integer passOn(Link link) throws IOException {
        OutputStream out = streams.out();
        OutputStream err = streams.err();
        for (Frame frame = receive(link); frame != null; frame = receive(link)) {
            switch (frame.kind()) {
                case STDOUT -> {
                    try {
                        frame.writeTo(out);
                    } catch (IOException _) {
                        return ExitStatus.BROKEN_PIPE;
                    }
                }
                case STDERR -> frame.writeTo(err);
                case EXIT -> {
                    return frame.number();
                }
                default -> throw new IOException("an unexpected frame: " + frame.kind());
            }
        }
        return null;
    }

    /** A host that is ended by the user takes the link with it, perhaps within a frame. */
    private @Nullable Frame receive(Link link) throws IOException {
        try {
            return link.receive();
        } catch (IOException e) {
            if (killed) {
                return null;
            }
            throw e;
        }
    }

    private void feed(Link link, NestedHost host) {
        InputStream keys = streams.in();
        InputStream in = streams.interactive() ? new EscapeInput(keys, () -> kill(link, host)) : keys;
        byte[] block = new byte[Link.LARGEST];
        try {
            for (int n = in.read(block); n >= 0; n = in.read(block)) {
                link.send(Kind.STDIN, block, 0, n);
            }
            link.send(Kind.STDIN);
        } catch (IOException _) {
            // Whichever end is gone, no more input passes.
        }
    }

    private void kill(Link link, NestedHost host) {
        killed = true;
        try (link) {
            host.end();
        } catch (IOException _) {
            // It was closed already.
        }
    }

    private static void sendWindow(Link link, Optional<WindowSize> size) throws IOException {
        link.send(
                Kind.WINDOW,
                size.map(WindowSize::rows).orElse(0),
                size.map(WindowSize::columns).orElse(0));
    }
}
