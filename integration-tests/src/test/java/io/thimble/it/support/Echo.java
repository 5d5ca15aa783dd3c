package io.thimble.it.support;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.VsockChannel;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.Socket;
import java.time.Duration;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Sends random data to a program in a guest that sends it back ({@code src/test/c}), and compares what comes. */
public final class Echo {
    private static final int PORT = 7; // RFC 862
    private static final int LIMIT_MILLIS = (int) Duration.ofSeconds(60).toMillis();

    private Echo() {}

    /** One connection, on which so many bytes go both ways at once. */
    public static void tcp(String address, SplittableRandom random, int length) throws Exception {
        byte[] sent = new byte[length];
        random.nextBytes(sent);
        try (Socket socket = new Socket(InetAddress.getByName(address), PORT)) {
            socket.setSoTimeout(LIMIT_MILLIS);
            OutputStream out = socket.getOutputStream();
            Thread sender = Thread.ofPlatform().start(() -> {
                try {
                    out.write(sent);
                    socket.shutdownOutput();
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
            InputStream in = socket.getInputStream();
            byte[] got = in.readAllBytes();
            sender.join();
            assertThat(Arrays.equals(got, sent)).isTrue();
        }
    }

    /** So many datagrams, one after the other; each tenth is larger than a frame. */
    public static void udp(String address, SplittableRandom random, int datagrams) throws Exception {
        InetAddress guest = InetAddress.getByName(address);
        try (DatagramSocket socket = new DatagramSocket()) {
            socket.setSoTimeout(LIMIT_MILLIS);
            for (int i = 0; i < datagrams; i++) {
                byte[] sent = new byte[i % 10 == 0 ? random.nextInt(1, 60_000) : random.nextInt(1, 1400)];
                random.nextBytes(sent);
                socket.send(new DatagramPacket(sent, sent.length, guest, PORT));
                DatagramPacket got = new DatagramPacket(new byte[65536], 65536);
                socket.receive(got);
                assertThat(Arrays.equals(Arrays.copyOf(got.getData(), got.getLength()), sent))
                        .as("datagram %d", i)
                        .isTrue();
            }
        }
    }

    /**
     * One vsock connection, on which all of {@code sent} goes both ways at once.
     *
     * @param description for a failure
     */
    public static void vsock(VsockChannel channel, byte[] sent, String description) throws Exception {
        Thread writer = Thread.startVirtualThread(() -> {
            try {
                channel.outputStream().write(sent);
                channel.shutdownOutput();
            } catch (IOException e) {
                channel.abort(); // the reader notices
            }
        });
        assertThat(channel.inputStream().readAllBytes()).as(description).isEqualTo(sent);
        writer.join();
    }
}
