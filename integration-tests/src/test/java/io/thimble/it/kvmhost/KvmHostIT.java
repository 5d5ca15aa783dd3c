package io.thimble.it.kvmhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.it.RequiresCheckout;
import io.thimble.it.support.Scripts;
import io.thimble.it.support.Scripts.Result;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code kvm-host/run} itself: what it says, how it ends, and what it leaves behind. */
@RequiresCheckout
class KvmHostIT {
    @TempDir
    Path folder;

    private static ProcessBuilder command(Path temporary, String... arguments) {
        ProcessBuilder builder = Scripts.command("kvm-host/run", arguments);
        builder.environment().put("TMPDIR", temporary.toString());
        return builder;
    }

    private static Result run(ProcessBuilder builder) {
        return Scripts.run(builder, new byte[0]);
    }

    private void assertNothingLeft() throws IOException {
        try (var files = Files.list(folder)) {
            assertThat(files).isEmpty();
        }
        assertThat(ProcessHandle.allProcesses()
                        .filter(process ->
                                process.info().commandLine().orElse("").contains(folder.toString())))
                .isEmpty();
    }

    @BeforeAll
    static void look(@TempDir Path temporary) throws Exception {
        Result result = run(command(temporary, "--exec", "true"));
        assumeTrue(result.status() != 69, result.err());
        assertThat(result.status()).as(result.err()).isZero();
    }

    @Test
    void says_what_is_wrong_with_the_command_line() throws Exception {
        assertThat(run(command(folder, "--no-such")).status()).isEqualTo(64);
        assertThat(run(command(folder, "--deadline", "soon", "--exec", "true")))
                .satisfies(result -> assertThat(result.status()).isEqualTo(64))
                .satisfies(result -> assertThat(result.err()).contains("soon"));
        assertThat(run(command(folder, "--exec", "true", "io.thimble.it.vm")).status())
                .isEqualTo(64);
    }

    @Test
    void says_what_is_missing_and_installs_nothing() throws Exception {
        Path empty = Files.createDirectory(folder.resolve("cache"));
        ProcessBuilder builder = command(folder, "--exec", "true");
        builder.environment().put("THIMBLE_CACHE", empty.toString());

        Result result = run(builder);

        assertThat(result.status()).isEqualTo(69);
        assertThat(result.err()).contains("kvm-host/setup");
        assertThat(empty).isEmptyDirectory();
    }

    @Test
    void refuses_a_QEMU_that_is_known_to_hang() throws Exception {
        Path fake = Files.writeString(folder.resolve("qemu"), "#!/bin/sh\necho QEMU emulator version 10.0.2\n");
        assertThat(fake.toFile().setExecutable(true)).isTrue();
        ProcessBuilder builder = command(folder, "--exec", "true");
        builder.environment().put("THIMBLE_QEMU", fake.toString());

        Result result = run(builder);

        assertThat(result.status()).isEqualTo(69);
        assertThat(result.err()).contains("10.0.2", "THIMBLE_QEMU");
    }

    @Test
    void two_runs_at_once_do_not_meet() throws Exception {
        String job = "echo one > /results/file; sleep 2; cat /results/file; exit ";
        CompletableFuture<Result> first =
                CompletableFuture.supplyAsync(() -> run(command(folder, "--exec", job.replace("one", "first") + 3)));
        CompletableFuture<Result> second =
                CompletableFuture.supplyAsync(() -> run(command(folder, "--exec", job.replace("one", "second") + 4)));

        assertThat(first.get().status()).isEqualTo(3);
        assertThat(first.get().out()).contains("first").doesNotContain("second");
        assertThat(second.get().status()).isEqualTo(4);
        assertThat(second.get().out()).contains("second");
        assertNothingLeft();
    }

    @Test
    void ends_at_its_deadline() throws Exception {
        Result result = run(command(folder, "--deadline", "5", "--exec", "while :; do sleep 1; done"));

        assertThat(result.status()).isEqualTo(124);
        assertThat(result.err()).contains("deadline of 5 s");
        assertNothingLeft();
    }

    @Test
    void streams_what_L1_prints_and_leaves_nothing_behind_when_it_is_interrupted() throws Exception {
        Process process = command(folder, "--exec", "echo here; while :; do sleep 1; done")
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            assertThat(lines.lines().anyMatch(line -> line.contains("here"))).isTrue();
            assertThat(new ProcessBuilder("kill", "-INT", Long.toString(process.pid()))
                            .start()
                            .waitFor())
                    .isZero();

            assertThat(Scripts.await(process)).isEqualTo(130);
        }
        assertNothingLeft();
    }
}
