package io.thimble.cli;

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The launcher inside the nested host: as {@link Main}, with its streams at the other end of a virtio port. */
final class NestedMain {
    private static final Path DEVICES = Path.of("/dev");

    private NestedMain() {}

    /**
     * Runs {@code thimble run} and tells the other end its exit status.
     *
     * @param arguments the terminal's type, or nothing if there is no terminal; then what follows the word {@code run}
     */
    public static void main(String[] arguments) throws IOException {
        List<String> all = List.of(arguments);
        Path device = port();
        try (RandomAccessFile port = new RandomAccessFile(device.toFile(), "rw");
                FileInputStream in = new FileInputStream(port.getFD());
                FileOutputStream out = new FileOutputStream(port.getFD());
                Link link = new Link(in.getChannel(), out.getChannel())) {
            LinkStreams streams =
                    new LinkStreams(link, Optional.of(all.getFirst()).filter(type -> !type.isEmpty()));
            System.setOut(new PrintStream(streams.out(), true));
            System.setErr(new PrintStream(streams.err(), true));
            if (streams.interactive()) {
                streams.receiveWindow();
            }
            Thread.ofPlatform().daemon(true).name("thimble-link").start(() -> receive(streams));
            int status = Main.statusOf(() -> Main.run(RunParser.parse(all.subList(1, all.size())), streams));
            link.send(Link.Kind.EXIT, status);
            System.exit(status);
        }
    }

    private static void receive(LinkStreams streams) {
        try {
            streams.receive();
        } catch (IOException e) {
            System.err.println("thimble: the link to the host: " + e.getMessage());
        }
        // The user is gone.
        System.exit(ExitStatus.HOST);
    }

    private static Path port() throws IOException {
        try (DirectoryStream<Path> ports = Files.newDirectoryStream(DEVICES, "vport*")) {
            for (Path port : ports) {
                return port;
            }
        }
        throw new IOException("the nested host has no virtio port");
    }
}
