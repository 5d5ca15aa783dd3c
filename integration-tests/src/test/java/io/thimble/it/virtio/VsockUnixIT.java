package io.thimble.it.virtio;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestFiles;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** vsock by Unix sockets, with the JDK's channels as the host's program. */
@RequiresKvm
@Timeout(180)
class VsockUnixIT {
    private static final int PORT = 5000;
    private static final int MANY = 200;

    @TempDir
    static Path directory;

    private static Path path;
    private static MicroVm vm;

    @BeforeAll
    static void start() throws Exception {
        path = directory.resolve("v.sock");
        ConsoleText console = new ConsoleText();
        vm = MicroVm.builder()
                .initrd(GuestFiles.initrdWith("vsock-peer"))
                .console(console)
                .vsockSocket(path)
                .command("vsock-peer", String.valueOf(PORT))
                .start();
        assertThat(console.awaitText("vsock-peer ready", LinuxVm.LIMIT))
                .as(console.text())
                .isTrue();
    }

    @AfterAll
    static void stop() {
        vm.close();
        assertThat(path).as("removed at the end").doesNotExist();
    }

    private static SocketChannel open(String line) throws IOException {
        SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(path));
        write(channel, line.getBytes(US_ASCII));
        return channel;
    }

    private static void write(SocketChannel channel, byte[] bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    private static String readLine(SocketChannel channel) throws IOException {
        StringBuilder line = new StringBuilder();
        ByteBuffer one = ByteBuffer.allocate(1);
        while (channel.read(one.clear()) == 1 && one.get(0) != '\n') {
            line.append((char) one.get(0));
        }
        return line.toString();
    }

    private static byte[] readAll(SocketChannel channel, int most) throws IOException {
        ByteBuffer all = ByteBuffer.allocate(most);
        while (all.hasRemaining() && channel.read(all) >= 0) {}
        byte[] bytes = new byte[all.position()];
        all.flip().get(bytes);
        return bytes;
    }

    private static void echo(SocketChannel channel, long seed, int length) throws Exception {
        byte[] sent = new byte[length];
        new SplittableRandom(seed).nextBytes(sent);
        Thread writer = Thread.startVirtualThread(() -> {
            try {
                write(channel, sent);
                channel.shutdownOutput();
            } catch (IOException e) {
                throw new AssertionError(e); // and the reader fails
            }
        });
        assertThat(readAll(channel, length + 1)).as("seed " + seed).isEqualTo(sent);
        writer.join();
    }

    @Test
    void a_client_says_where_to_and_is_told_from_where() throws Exception {
        try (SocketChannel channel = open("CONNECT 5000\nE")) {
            assertThat(readLine(channel)).matches("OK \\d+");
            echo(channel, System.nanoTime(), 10 << 20);
        }
    }

    @Test
    void the_first_line_may_come_in_pieces() throws Exception {
        try (SocketChannel channel = open("connect 50")) {
            write(channel, "00".getBytes(US_ASCII));
            write(channel, "\nE".getBytes(US_ASCII));
            assertThat(readLine(channel)).matches("OK \\d+");
            echo(channel, 1, 1000);
        }
    }

    @Test
    void nonsense_and_refusals_end_the_connection() throws Exception {
        for (String line : List.of("CONNECT 5001\n", "HELLO\n", "CONNECT 99999999999\n", "CONNECT" + "x".repeat(50))) {
            try (SocketChannel channel = open(line)) {
                assertThat(readAll(channel, 1)).as(line).isEmpty();
            } catch (IOException e) {
                assertThat(e).as(line).hasMessageContaining("reset"); // closed with bytes unread
            }
        }
    }

    @Test
    void two_hundred_clients_at_once() throws Exception {
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < MANY; i++) {
                long seed = i;
                all.add(threads.submit(() -> {
                    try (SocketChannel channel = open("CONNECT 5000\nE")) {
                        assertThat(readLine(channel)).startsWith("OK ");
                        echo(channel, seed, 50_000);
                    }
                    return null;
                }));
            }
            for (Future<?> one : all) {
                one.get();
            }
        }
    }

    @Test
    void the_guest_reaches_a_socket_named_after_the_port() throws Exception {
        Path name = Path.of(path + "_6000");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
                SocketChannel order = open("CONNECT 5000\nC")) {
            server.bind(UnixDomainSocketAddress.of(name));
            assertThat(readLine(order)).startsWith("OK ");
            int count = 20;
            write(
                    order,
                    ByteBuffer.allocate(8)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putInt(6000)
                            .putInt(count)
                            .array());
            for (int i = 0; i < count; i++) {
                try (SocketChannel accepted = server.accept()) {
                    echo(accepted, i, 10_000);
                }
            }
            byte[] good = readAll(order, 8);
            assertThat(ByteBuffer.wrap(good).order(ByteOrder.LITTLE_ENDIAN).getLong())
                    .isEqualTo(count);
        } finally {
            Files.deleteIfExists(name);
        }
    }

    @Test
    void a_client_that_reads_late_gets_everything() throws Exception {
        int length = 2 << 20;
        try (SocketChannel channel = open("CONNECT 5000\nG")) {
            assertThat(readLine(channel)).startsWith("OK ");
            write(
                    channel,
                    ByteBuffer.allocate(8)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(length)
                            .array());
            // Another connection's turn, while this one's buffers fill up.
            try (SocketChannel other = open("CONNECT 5000\nE")) {
                assertThat(readLine(other)).startsWith("OK ");
                echo(other, 5, 1 << 20);
            }
            byte[] all = readAll(channel, length + 1);
            assertThat(all).hasSize(length);
            for (int i = 0; i < length; i++) {
                if (all[i] != (byte) (i ^ i >> 8 ^ i >> 16)) {
                    throw new AssertionError("byte " + i);
                }
            }
        }
    }

    @Test
    void only_its_owner_may_connect() throws Exception {
        assertThat(Files.getPosixFilePermissions(path)).isEqualTo(PosixFilePermissions.fromString("rw-------"));
    }

    @Test
    void a_path_that_is_in_use_or_left_over_is_refused_with_the_remedy() throws Exception {
        assertThatThrownBy(() -> MicroVm.builder().vsockSocket(path).start().close())
                .isInstanceOf(MicroVmException.class)
                .hasMessageContaining("another program listens there");
        assertThat(path).exists();
        Path stale = directory.resolve("stale");
        ServerSocketChannel.open(StandardProtocolFamily.UNIX)
                .bind(UnixDomainSocketAddress.of(stale))
                .close();
        assertThatThrownBy(() -> MicroVm.builder().vsockSocket(stale).start().close())
                .isInstanceOf(MicroVmException.class)
                .hasMessageContaining("rm '" + stale + "'");
        Path nowhere = directory.resolve("no/where");
        assertThatThrownBy(() -> MicroVm.builder().vsockSocket(nowhere).start().close())
                .isInstanceOf(MicroVmException.class)
                .hasMessageContaining("make its directory first");
    }
}
