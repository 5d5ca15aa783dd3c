package io.thimble.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.vmm.guest.ExecRequest;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The agent's sources, compiled with gcc's sanitizers for addresses and undefined behaviour, against connections whose frames are changed
 * at random. As root it runs as nobody, because some of what is changed are paths.
 */
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostileHostTest {
    private static final int CONNECTIONS = 400;
    private static final Path SOURCES = Path.of("agent").toAbsolutePath();

    @TempDir
    Path folder;

    private static boolean run(Path directory, List<String> command) throws Exception {
        return new ProcessBuilder(command)
                        .directory(directory.toFile())
                        .inheritIO()
                        .start()
                        .waitFor()
                == 0;
    }

    private Path sanitized() throws Exception {
        Path binary = folder.resolve("agent-sanitized");
        List<String> command = new ArrayList<>(
                List.of("gcc", "-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-w", "-fsanitize=address,undefined"));
        command.addAll(List.of("-fno-sanitize-recover=undefined", "-o", binary.toString()));
        try (Stream<Path> sources = Files.list(SOURCES)) {
            sources.map(Path::toString).filter(name -> name.endsWith(".c")).forEach(command::add);
        }
        assertThat(run(SOURCES, command)).isTrue();
        return binary;
    }

    /** A script that starts it without root's rights, and without the search for leaks: its processes end without freeing. */
    private Path unprivileged(Path binary) throws IOException {
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
        Files.createDirectory(folder.resolve("guest"));
        Files.setPosixFilePermissions(folder.resolve("guest"), PosixFilePermissions.fromString("rwxrwxrwx"));
        String nobody = Files.isWritable(Path.of("/proc/sys/kernel/hostname"))
                ? "setpriv --reuid=65534 --regid=65534 --clear-groups "
                : "";
        Path script = Files.writeString(
                folder.resolve("run"),
                "#!/bin/sh\nexport ASAN_OPTIONS=detect_leaks=0\nexec " + nobody + binary + " \"$@\"\n");
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
        return script;
    }

    @Test
    void survives_hosts_that_break_the_rules() throws Exception {
        assumeTrue(
                Stream.of("/usr/bin/gcc", "/usr/bin/setpriv").map(Path::of).allMatch(Files::isExecutable), "needs gcc");
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        try (ServingAgent agent = new ServingAgent(unprivileged(sanitized()), folder)) {
            for (int i = 0; i < CONNECTIONS; i++) {
                talk(agent, mutated(frames(random), random), random);
            }
            assertThat(agent.client
                            .run(ExecRequest.of("echo", "alive"), new byte[0], 100, null)
                            .stdoutText())
                    .as("seed %d", seed)
                    .isEqualTo("alive\n");
            agent.process.destroy();
            assertThat(agent.process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(Files.readString(folder.resolve("stderr"), StandardCharsets.ISO_8859_1))
                    .as("seed %d", seed)
                    .doesNotContain("AddressSanitizer", "runtime error");
        }
    }

    /** Sends, reads a while, and goes without a word. */
    private static void talk(ServingAgent agent, byte[] bytes, SplittableRandom random) throws IOException {
        try (SocketChannel channel = agent.connect()) {
            ByteBuffer all = ByteBuffer.wrap(bytes);
            while (all.hasRemaining()) {
                channel.write(all);
            }
            if (random.nextBoolean()) {
                channel.shutdownOutput();
                ByteBuffer answer = ByteBuffer.allocate(1 << 16);
                while (channel.read(answer.clear()) >= 0) {}
            }
        } catch (IOException e) {
            if (!agent.process.isAlive()) {
                throw e;
            }
        }
    }

    private List<byte[]> frames(SplittableRandom random) {
        List<byte[]> frames = new ArrayList<>();
        String path = folder.resolve("guest") + "/x" + random.nextInt(5);
        switch (random.nextInt(4)) {
            case 0 -> {
                frames.add(open(1));
                frames.add(frame(0x10, text("cat\0-u\0")));
                frames.add(frame(0x11, text("A=b\0PATH=/bin\0")));
                frames.add(frame(0x12, text("/")));
                frames.add(frame(0x13, text(random.nextBoolean() ? "65534:65534" : "nobody")));
                if (random.nextBoolean()) {
                    frames.add(frame(0x14, new byte[] {24, 0, 80, 0}));
                }
                frames.add(frame(0x15, new byte[] {(byte) random.nextInt(2)}));
                frames.add(frame(0x20, text("some input\n")));
                frames.add(frame(0x22, new byte[] {1, 0, 1, 0, 0}));
                frames.add(frame(0x24, new byte[] {25, 0, 81, 0}));
                frames.add(frame(0x20, new byte[random.nextInt(65_536)]));
                frames.add(frame(0x23, new byte[] {(byte) (random.nextBoolean() ? 15 : 18)}));
                frames.add(frame(0x21, new byte[0]));
            }
            case 1 -> {
                frames.add(open(2));
                frames.add(frame(0x40, text(path)));
                frames.add(frame(0x42, entry("")));
                frames.add(frame(0x41, entry("file")));
                frames.add(frame(0x44, new byte[random.nextInt(5000)]));
                frames.add(frame(0x45, new byte[] {0, 16, 0, 0, 0, 0, 0, 0}));
                frames.add(frame(0x46, new byte[0]));
                frames.add(frame(0x42, entry("folder")));
                frames.add(frame(0x43, entry("link\0target")));
                frames.add(frame(0x46, new byte[0]));
                frames.add(frame(0x46, new byte[0]));
                frames.add(frame(0x47, new byte[0]));
            }
            case 2 -> {
                frames.add(open(3));
                frames.add(frame(0x40, text(path)));
            }
            default -> frames.add(open(4));
        }
        return frames;
    }

    private static byte[] mutated(List<byte[]> frames, SplittableRandom random) {
        for (int n = random.nextInt(4); n > 0; n--) {
            int at = random.nextInt(frames.size());
            switch (random.nextInt(5)) {
                case 0 -> frames.remove(at);
                case 1 ->
                    frames.add(at, frames.get(random.nextInt(frames.size())).clone());
                case 2 -> {
                    byte[] frame = frames.get(at);
                    if (frame.length > 0) {
                        frame[random.nextInt(frame.length)] ^= (byte) (1 << random.nextInt(8));
                    }
                }
                case 3 -> {
                    byte[] noise = new byte[random.nextInt(40)];
                    random.nextBytes(noise);
                    frames.add(at, frame(random.nextInt(0x48), noise));
                }
                default -> frames.set(at, Arrays.copyOf(frames.get(at), random.nextInt(frames.get(at).length + 1)));
            }
            if (frames.isEmpty()) {
                frames.add(new byte[] {1});
            }
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        frames.forEach(bytes::writeBytes);
        return bytes.toByteArray();
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] frame(int type, byte[] payload) {
        return ByteBuffer.allocate(4 + payload.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(payload.length | type << 24)
                .put(payload)
                .array();
    }

    private static byte[] open(int operation) {
        return frame(1, new byte[] {'T', 'M', 'B', 'L', 1, 0, (byte) operation, 0});
    }

    private static byte[] entry(String name) {
        return ByteBuffer.allocate(16 + name.length())
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) 0755)
                .putShort((short) 0)
                .putInt(5)
                .putLong(1_000_000_000)
                .put(text(name))
                .array();
    }
}
