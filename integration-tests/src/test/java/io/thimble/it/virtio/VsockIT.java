package io.thimble.it.virtio;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.Echo;
import io.thimble.it.support.GuestFiles;
import io.thimble.it.support.LinuxVm;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.VsockChannel;
import io.thimble.vmm.VsockListener;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Streams between this process and a program in a Linux guest, {@code src/test/c/vsock-peer.c}. */
@RequiresKvm
@Timeout(180)
class VsockIT {
    private static final int PORT = 5000;
    private static final int HOST_PORT = 6000;
    private static final int MANY = 200;

    private static final ConsoleText CONSOLE = new ConsoleText();
    private static MicroVm vm;

    @BeforeAll
    static void start() throws Exception {
        vm = MicroVm.builder()
                .initrd(GuestFiles.initrdWith("vsock-peer"))
                .console(CONSOLE)
                .command("vsock-peer", String.valueOf(PORT))
                .start();
        assertThat(CONSOLE.awaitText("vsock-peer ready", LinuxVm.LIMIT))
                .as(CONSOLE.text())
                .isTrue();
    }

    @AfterAll
    static void stop() {
        vm.close();
    }

    private static VsockChannel ask(char what) throws IOException {
        VsockChannel channel = vm.vsock().connect(PORT);
        channel.outputStream().write(what);
        return channel;
    }

    private static byte[] number(long value) {
        return ByteBuffer.allocate(Long.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array();
    }

    private static long number(byte[] bytes) {
        assertThat(bytes).hasSize(Long.BYTES);
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    }

    /** Writes random bytes while it reads them back, as fast as they come. */
    private static Void echo(VsockChannel channel, long seed, int length) throws Exception {
        byte[] sent = new byte[length];
        new SplittableRandom(seed).nextBytes(sent);
        Echo.vsock(channel, sent, "seed " + seed);
        return null;
    }

    @Test
    void a_program_in_the_guest_echoes_until_the_end() throws Exception {
        try (VsockChannel channel = ask('E')) {
            channel.outputStream().write("hello".getBytes(UTF_8));
            channel.shutdownOutput();
            assertThat(new String(channel.inputStream().readAllBytes(), UTF_8)).isEqualTo("hello");
        }
    }

    @Test
    void megabytes_come_back_unchanged() throws Exception {
        try (VsockChannel channel = ask('E')) {
            echo(channel, System.nanoTime(), 20 << 20);
        }
    }

    @Test
    void the_host_takes_as_slowly_as_it_likes() throws Exception {
        int length = 3 << 20;
        try (VsockChannel channel = ask('G')) {
            channel.outputStream().write(number(length));
            InputStream in = channel.inputStream();
            byte[] some = new byte[777];
            long at = 0;
            for (int n = in.read(some); n >= 0; n = in.read(some)) {
                for (int i = 0; i < n; i++, at++) {
                    assertThat(some[i]).isEqualTo((byte) (at ^ at >> 8 ^ at >> 16));
                }
            }
            assertThat(at).isEqualTo(length);
        }
    }

    @Test
    void where_nobody_listens_the_guest_refuses() {
        assertThatThrownBy(() -> vm.vsock().connect(PORT + 1))
                .isInstanceOf(ConnectException.class)
                .hasMessageContaining("nothing listens on port 5001");
    }

    @Test
    void two_hundred_connections_at_once_from_the_host() throws Exception {
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Void>> all = new ArrayList<>();
            CountDownLatch open = new CountDownLatch(MANY);
            for (int i = 0; i < MANY; i++) {
                long seed = i;
                all.add(threads.submit(() -> {
                    try (VsockChannel channel = ask('E')) {
                        open.countDown();
                        open.await();
                        return echo(channel, seed, 100_000);
                    }
                }));
            }
            for (Future<Void> one : all) {
                one.get();
            }
        }
    }

    @Test
    void two_hundred_connections_at_once_from_the_guest() throws Exception {
        try (VsockListener listener = vm.vsock().listen(HOST_PORT, MANY);
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
                VsockChannel order = ask('C')) {
            order.outputStream()
                    .write(ByteBuffer.allocate(8)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putInt(HOST_PORT)
                            .putInt(MANY)
                            .array());
            List<VsockChannel> channels = new ArrayList<>();
            for (int i = 0; i < MANY; i++) {
                channels.add(listener.accept());
            }
            List<Callable<Void>> echoes = new ArrayList<>();
            for (VsockChannel channel : channels) {
                echoes.add(() -> echo(channel, channel.guestPort(), 50_000));
            }
            for (Future<Void> one : threads.invokeAll(echoes)) {
                one.get();
            }
            channels.forEach(VsockChannel::close);
            assertThat(number(order.inputStream().readAllBytes())).isEqualTo(MANY);
        }
    }

    @Test
    void a_guest_is_refused_where_nobody_listens_on_the_host() throws Exception {
        try (VsockChannel order = ask('C')) {
            order.outputStream()
                    .write(ByteBuffer.allocate(8)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putInt(HOST_PORT + 1)
                            .putInt(3)
                            .array());
            assertThat(number(order.inputStream().readAllBytes())).isZero();
        }
    }

    @Test
    void the_guest_counts_everything_that_was_written_before_the_end() throws Exception {
        try (VsockChannel channel = ask('S')) {
            byte[] block = new byte[100_001];
            for (int i = 0; i < 50; i++) {
                channel.outputStream().write(block);
            }
            channel.shutdownOutput();
            assertThat(number(channel.inputStream().readAllBytes())).isEqualTo(50L * block.length);
            assertThatThrownBy(() -> channel.outputStream().write(1)).isInstanceOf(ClosedChannelException.class);
        }
    }

    @Test
    void a_writer_learns_that_the_guest_has_closed() throws Exception {
        try (VsockChannel channel = ask('X')) {
            byte[] block = new byte[1 << 16];
            assertThatThrownBy(() -> {
                        while (true) {
                            channel.outputStream().write(block);
                        }
                    })
                    .isInstanceOf(IOException.class)
                    .isNotInstanceOf(InterruptedIOException.class);
        }
    }

    @Test
    void a_timeout_and_an_interrupt_leave_a_channel_as_it_was() throws Exception {
        try (VsockChannel channel = ask('E')) {
            channel.readTimeout(Duration.ofMillis(1));
            assertThatThrownBy(() -> channel.inputStream().read()).isInstanceOf(SocketTimeoutException.class);
            channel.readTimeout(Duration.ZERO);
            Thread.currentThread().interrupt();
            assertThatThrownBy(() -> channel.inputStream().read())
                    .isInstanceOf(InterruptedIOException.class)
                    .isNotInstanceOf(SocketTimeoutException.class);
            assertThat(Thread.interrupted()).isTrue();
            echo(channel, 1, 1000);
        }
    }

    @Test
    void a_guest_that_takes_nothing_makes_a_writer_wait_and_no_more() throws Exception {
        try (VsockChannel channel = ask('H')) {
            channel.writeTimeout(Duration.ofMillis(200));
            byte[] block = new byte[16 << 20];
            assertThatThrownBy(() -> channel.outputStream().write(block))
                    .isInstanceOfSatisfying(
                            SocketTimeoutException.class,
                            e -> assertThat(e.bytesTransferred).isBetween(1, 4 << 20));
            try (VsockChannel other = ask('E')) {
                echo(other, 2, 100_000);
            }
        }
    }

    @Test
    void closing_a_channel_ends_a_thread_that_reads_from_it() throws Exception {
        VsockChannel channel = ask('E');
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            CountDownLatch reading = new CountDownLatch(1);
            Future<Integer> read = threads.submit(() -> {
                reading.countDown();
                return channel.inputStream().read();
            });
            reading.await();
            channel.close();
            assertThatThrownBy(read::get).hasCauseInstanceOf(ClosedChannelException.class);
        }
    }

    @Test
    void data_flows_on_after_a_pause() throws Exception {
        try (VsockChannel channel = ask('E');
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<Void> echo = threads.submit(() -> echo(channel, 3, 10 << 20));
            for (int i = 0; i < 20; i++) {
                vm.pause();
                vm.resume();
            }
            echo.get();
        }
    }

    @Test
    void the_end_of_the_VM_ends_its_channels_and_listeners() throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm other = MicroVm.builder()
                .initrd(GuestFiles.initrdWith("vsock-peer"))
                .console(console)
                .command("vsock-peer", "7")
                .start()) {
            assertThat(console.awaitText("vsock-peer ready", LinuxVm.LIMIT)).isTrue();
            VsockListener listener = other.vsock().listen(8);
            VsockChannel channel = other.vsock().connect(7);
            OutputStream out = channel.outputStream();
            out.write('E');
            out.write("last words".getBytes(UTF_8));
            byte[] back = channel.inputStream().readNBytes(10);
            assertThat(new String(back, UTF_8)).isEqualTo("last words");
            other.kill();
            other.await();
            assertThatThrownBy(() -> channel.inputStream().read()).isInstanceOf(IOException.class);
            assertThatThrownBy(listener::accept).isInstanceOf(ClosedChannelException.class);
            assertThatThrownBy(() -> other.vsock().connect(7)).isInstanceOf(IllegalStateException.class);
        }
    }
}
