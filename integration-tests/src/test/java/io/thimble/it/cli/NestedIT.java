package io.thimble.it.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.RequiresCheckout;
import io.thimble.it.support.Scripts;
import io.thimble.it.support.Scripts.Result;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code thimble run --nested}: needs what {@code kvm-host/setup} makes, and no KVM here. */
@RequiresCheckout
class NestedIT {
    private static final int UNAVAILABLE = 111;
    private static final int DISK = 8 << 20;

    @TempDir
    Path folder;

    @BeforeAll
    static void look() {
        Launcher.build();
        Result result = Launcher.run("run", "--nested", "--", "true");
        assumeTrue(result.status() != UNAVAILABLE, result.err());
    }

    @Test
    void runs_the_command_with_its_streams_files_and_disk() throws Exception {
        long seed = new SplittableRandom().nextLong();
        byte[] input = new byte[100_000];
        new SplittableRandom(seed).nextBytes(input);
        Path file = Files.writeString(folder.resolve("file"), "content");
        Path disk = folder.resolve("disk, with a comma");
        try (RandomAccessFile image = new RandomAccessFile(disk.toFile(), "rw")) {
            image.setLength(DISK);
        }

        Result result = Launcher.run(
                input,
                "run",
                "--nested",
                "-q",
                "--vcpus",
                "2",
                "--disk",
                disk.toString().replace(",", ",,"),
                "--copy-in",
                file + ":/srv/",
                "--copy-out",
                "/srv:" + folder.resolve("out"),
                "--",
                "sh",
                "-c",
                "tee /dev/vda; sync; cat /srv/file >&2; echo \"it's $(nproc)\" > /srv/new; exit 9");

        assertThat(result.status()).as(result.err()).isEqualTo(9);
        assertThat(result.out()).as("seed %d", seed).isEqualTo(new String(input, StandardCharsets.ISO_8859_1));
        assertThat(result.err()).isEqualTo("content");
        assertThat(folder.resolve("out/new")).hasContent("it's 2");
        assertThat(folder.resolve("out/file")).hasContent("content");
        assertThat(Files.readAllBytes(disk)).hasSize(DISK).startsWith(input);
    }

    @Test
    void gives_the_command_a_terminal_that_follows_the_window_and_ends_on_the_escape() throws Exception {
        try (Pty terminal = new Pty()) {
            byte[] before = terminal.settings();
            terminal.resize(33, 101);
            Process process = Launcher.onTerminal(terminal, "run", "--nested");
            try {
                terminal.awaitText("# ");
                terminal.type("stty size\r");
                terminal.awaitText("33 101");
                terminal.type("sh -c 'trap \"stty size\" WINCH; echo wait\"\"ing; while :; do sleep 1; done'\r");
                terminal.awaitText("waiting");
                terminal.resize(50, 132);
                terminal.awaitText("50 132");
                terminal.type("\u001dx");

                assertThat(Scripts.await(process)).isEqualTo(123);
                assertThat(terminal.settings()).isEqualTo(before);
            } finally {
                process.destroy();
            }
        }
    }

    @Test
    void a_wrong_kernel_is_refused_as_without_it() throws Exception {
        Path kernel = Files.writeString(folder.resolve("kernel"), "no kernel");

        Result result = Launcher.run("run", "--nested", "-q", "--kernel", kernel.toString(), "--", "true");

        assertThat(result.status()).isEqualTo(112);
        assertThat(result.err()).startsWith("thimble: ").contains("/kernel");
    }
}
