package io.thimble.it.kvmhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/** {@code kvm-host/run} itself: what it says, how it ends, and what it leaves behind. */
@DisabledIfSystemProperty(
        named = "thimble.it.emulated",
        matches = "true",
        disabledReason = "it needs a checkout and Maven, which the runner's L1 has not")
class KvmHostIT {
    private static final long DEADLINE_SECONDS = 300;
    private static final Path SCRIPT = script();

    @TempDir
    Path folder;

    /**
     * How a run ended.
     *
     * @param status its exit status
     * @param out what L1 printed
     * @param err what the script said
     */
    private record Result(int status, String out, String err) {}

    private static Path script() {
        Path directory = Path.of("").toAbsolutePath();
        while (directory != null && !Files.isExecutable(directory.resolve("kvm-host/run"))) {
            directory = directory.getParent();
        }
        if (directory == null) {
            throw new IllegalStateException("no kvm-host/run above the working directory");
        }
        return directory.resolve("kvm-host/run");
    }

    private static ProcessBuilder command(Path temporary, String... arguments) {
        // Whoever runs the tests in the background may have had SIGINT ignored, which a child would inherit.
        List<String> words = new ArrayList<>(List.of("env", "--default-signal=INT", SCRIPT.toString()));
        words.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(words);
        builder.environment().put("TMPDIR", temporary.toString());
        return builder.redirectInput(Path.of("/dev/null").toFile());
    }

    private static Result run(ProcessBuilder builder) throws IOException, InterruptedException {
        Process process = builder.start();
        CompletableFuture<String> out = CompletableFuture.supplyAsync(() -> text(process.getInputStream()));
        CompletableFuture<String> err = CompletableFuture.supplyAsync(() -> text(process.getErrorStream()));
        return new Result(await(process), out.join(), err.join());
    }

    private static int await(Process process) throws InterruptedException {
        if (!process.waitFor(DEADLINE_SECONDS, TimeUnit.SECONDS)) {
            process.destroy();
            throw new AssertionError("kvm-host/run did not end within " + DEADLINE_SECONDS + " s");
        }
        return process.exitValue();
    }

    private static String text(InputStream stream) {
        try (stream) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
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
                CompletableFuture.supplyAsync(() -> unchecked(job.replace("one", "first") + 3));
        CompletableFuture<Result> second =
                CompletableFuture.supplyAsync(() -> unchecked(job.replace("one", "second") + 4));

        assertThat(first.get().status()).isEqualTo(3);
        assertThat(first.get().out()).contains("first").doesNotContain("second");
        assertThat(second.get().status()).isEqualTo(4);
        assertThat(second.get().out()).contains("second");
        assertNothingLeft();
    }

    private Result unchecked(String job) {
        try {
            return run(command(folder, "--exec", job));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
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

            assertThat(await(process)).isEqualTo(130);
        }
        assertNothingLeft();
    }
}
