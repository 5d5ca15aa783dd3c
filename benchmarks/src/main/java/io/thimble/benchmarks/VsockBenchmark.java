package io.thimble.benchmarks;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.thimble.vmm.MicroVm;
import io.thimble.vmm.VsockChannel;
import io.thimble.vmm.agent.CpioWriter;
import io.thimble.vmm.spi.BundledGuest;
import java.io.IOException;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;

/**
 * How fast data flows between the host and a program in the guest: MiB by MiB, both ways, through a Java channel and through a
 * Unix socket; and for comparison through a Unix socket between two threads of this process. Arguments: the program, rounds,
 * MiB a run.
 */
public final class VsockBenchmark {
    private static final int PORT = 5000;
    private static final int BLOCK = 256 << 10;

    private final long bytes;
    private final Path directory;
    private final ByteBuffer block = ByteBuffer.allocateDirect(BLOCK);

    private VsockBenchmark(long bytes, Path directory) {
        this.bytes = bytes;
        this.directory = directory;
    }

    /** One way of moving the bytes. */
    private interface Run {
        void move() throws IOException, InterruptedException;
    }

    /** Runs it. */
    public static void main(String[] args) throws Exception {
        int rounds = Integer.parseInt(args[1]);
        long mebibytes = Long.parseLong(args[2]);
        Path directory = Files.createTempDirectory("vsock");
        Path initrd = directory.resolve("initrd");
        try (MicroVm vm = MicroVm.builder()
                .vcpus(1)
                .initrd(initrdWith(Path.of(args[0]), initrd))
                .vsockSocket(directory.resolve("v"))
                .command("vsock-peer", String.valueOf(PORT))
                .start()) {
            if (!vm.awaitReady(Duration.ofSeconds(60))) {
                throw new IllegalStateException("the guest does not get ready");
            }
            new VsockBenchmark(mebibytes << 20, directory).run(vm, rounds);
        } finally {
            Files.delete(initrd);
            Files.delete(directory);
        }
    }

    private static Path initrdWith(Path program, Path initrd) throws IOException {
        BundledGuest guest = ServiceLoader.load(BundledGuest.class).findFirst().orElseThrow();
        try (OutputStream out = Files.newOutputStream(initrd)) {
            Files.copy(guest.initrd(), out);
            out.write(new byte[(int) (-Files.size(guest.initrd()) & 3)]);
            CpioWriter cpio = new CpioWriter(out);
            cpio.file("bin/vsock-peer", 0755, Files.readAllBytes(program));
            cpio.finish();
        }
        return initrd;
    }

    private void run(MicroVm vm, int rounds) throws Exception {
        List<String> names = List.of(
                "Unix socket in the host alone",
                "guest to host, Java channel",
                "guest to host, Unix socket",
                "host to guest, Java channel",
                "host to guest, Unix socket");
        List<Run> runs = List.of(
                this::hostAlone,
                () -> fromGuest(channel(vm)),
                () -> fromGuest(socket()),
                () -> channelToGuest(vm),
                this::socketToGuest);
        List<Series> series = new ArrayList<>();
        names.forEach(name -> series.add(new Series(name)));
        for (int round = -2; round < rounds; round++) { // two to warm up
            for (int i = 0; i < runs.size(); i++) {
                long start = System.nanoTime();
                runs.get(i).move();
                if (round >= 0) {
                    series.get(i).add(System.nanoTime() - start);
                }
            }
        }
        System.out.printf("%d MiB a run, %d runs%n", bytes >> 20, rounds);
        for (Series one : series) {
            System.out.printf("%s   %6.0f MB/s%n", one.line(series.getFirst()), bytes / one.median() / 1000);
        }
    }

    private static VsockChannel channel(MicroVm vm) throws IOException {
        while (true) {
            try {
                return vm.vsock().connect(PORT);
            } catch (ConnectException _) {
                Thread.onSpinWait(); // it does not listen yet
            }
        }
    }

    private SocketChannel socket() throws IOException {
        SocketChannel socket = SocketChannel.open(UnixDomainSocketAddress.of(directory.resolve("v")));
        write(socket, ByteBuffer.wrap(("CONNECT " + PORT + "\n").getBytes(US_ASCII)));
        ByteBuffer one = ByteBuffer.allocate(1);
        while (one.get(0) != '\n') {
            if (socket.read(one.clear()) < 1) {
                throw new IOException("the guest refuses");
            }
        }
        return socket;
    }

    private static void write(ByteChannel channel, ByteBuffer data) throws IOException {
        while (data.hasRemaining()) {
            channel.write(data);
        }
    }

    private void read(ByteChannel channel, long count) throws IOException {
        long left = count;
        while (left > 0) {
            int n = channel.read(block.clear());
            if (n < 0) {
                throw new IOException("the end, with " + left + " bytes to come");
            }
            left -= n;
        }
    }

    private void fromGuest(ByteChannel channel) throws IOException {
        try (channel) {
            ByteBuffer order = ByteBuffer.allocate(9).order(ByteOrder.LITTLE_ENDIAN);
            write(channel, order.put((byte) 'F').putLong(bytes).flip());
            read(channel, bytes);
        }
    }

    private void toGuest(ByteChannel channel, Run endOutput) throws IOException, InterruptedException {
        try (channel) {
            write(channel, ByteBuffer.wrap(new byte[] {'S'}));
            writeBlocks(channel);
            endOutput.move();
            read(channel, Long.BYTES); // the guest has counted all of it
        }
    }

    private void channelToGuest(MicroVm vm) throws IOException, InterruptedException {
        VsockChannel channel = channel(vm);
        toGuest(channel, channel::shutdownOutput);
    }

    private void socketToGuest() throws IOException, InterruptedException {
        SocketChannel channel = socket();
        toGuest(channel, channel::shutdownOutput);
    }

    private void writeBlocks(ByteChannel to) throws IOException {
        ByteBuffer out = ByteBuffer.allocateDirect(BLOCK);
        for (long left = bytes; left > 0; left -= BLOCK) {
            write(to, out.clear());
        }
    }

    private void hostAlone() throws IOException, InterruptedException {
        Path path = directory.resolve("alone");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(path));
            try (SocketChannel to = SocketChannel.open(UnixDomainSocketAddress.of(path));
                    SocketChannel from = server.accept()) {
                Thread writer = Thread.ofPlatform().start(() -> {
                    try {
                        writeBlocks(to);
                    } catch (IOException e) {
                        throw new IllegalStateException(e);
                    }
                });
                read(from, bytes);
                writer.join();
            }
        } finally {
            Files.deleteIfExists(path);
        }
    }
}
