package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import io.thimble.cli.Link.Kind;
import io.thimble.linux.Terminal.WindowSize;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.channels.Pipe;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LinkTest {
    @Test
    void brings_streams_over_whole_and_in_order() throws Exception {
        long seed = new SplittableRandom().nextLong();
        byte[] input = new byte[200_000];
        new SplittableRandom(seed).nextBytes(input);
        Pipe down = Pipe.open();
        Pipe up = Pipe.open();
        try (Link host = new Link(up.source(), down.sink());
                Link nested = new Link(down.source(), up.sink())) {
            LinkStreams streams = new LinkStreams(nested, Optional.of("dumb"));
            host.send(Kind.WINDOW, 24, 80);
            streams.receiveWindow();
            assertThat(streams.windowSize()).contains(new WindowSize(24, 80));

            Thread receiver = Thread.ofPlatform().start(() -> receive(streams));
            CompletableFuture<byte[]> got = CompletableFuture.supplyAsync(() -> readAll(streams));
            host.send(Kind.STDIN, input, 0, input.length);
            host.send(Kind.STDIN);
            assertThat(got.get()).as("seed %d", seed).isEqualTo(input);

            streams.out().write('o');
            streams.err().write(new byte[] {'e', 'r', 'r'});
            nested.send(Kind.EXIT, 7);
            assertThat(text(host)).isEqualTo("STDOUT o");
            assertThat(text(host)).isEqualTo("STDERR err");
            assertThat(number(host)).isEqualTo(7);
            down.sink().close();
            receiver.join();
        }
    }

    private static void receive(LinkStreams streams) {
        try {
            streams.receive();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] readAll(LinkStreams streams) {
        try {
            return streams.in().readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String text(Link link) throws IOException {
        Link.Frame frame = link.receive();
        if (frame == null) {
            return "the end";
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        frame.writeTo(bytes);
        return frame.kind() + " " + bytes.toString(StandardCharsets.US_ASCII);
    }

    private static int number(Link link) throws IOException {
        Link.Frame frame = link.receive();
        if (frame == null) {
            throw new AssertionError("the link has ended");
        }
        return frame.number();
    }

    @Test
    void ends_where_the_other_end_is_gone() throws Exception {
        assertThat(link("").receive()).isNull();
    }

    /** An unknown kind, a length beyond the largest, a negative one, a payload that ends early, half a header. */
    @ParameterizedTest
    @ValueSource(strings = {"0900000000", "0300008001", "03ffffffff", "030000000261", "0300"})
    void refuses_what_is_no_frame(String bytes) {
        assertThatIOException().isThrownBy(() -> link(bytes).receive());
    }

    @Test
    void refuses_an_exit_without_a_status() throws Exception {
        Link link = link("0500000000");
        assertThatIOException().isThrownBy(() -> number(link)).withMessageContaining("too short");
    }

    private static Link link(String bytes) {
        return new Link(
                Channels.newChannel(new ByteArrayInputStream(HexFormat.of().parseHex(bytes))),
                Channels.newChannel(new ByteArrayOutputStream()));
    }
}
