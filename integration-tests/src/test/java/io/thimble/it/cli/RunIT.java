package io.thimble.it.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.RequiresCheckout;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.Scripts;
import io.thimble.it.support.Scripts.Result;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@RequiresKvm
@RequiresCheckout
class RunIT {
    @TempDir
    Path folder;

    @BeforeAll
    static void build() {
        Launcher.build();
    }

    @Test
    void prints_the_command_s_output_and_nothing_else() {
        Result result = Launcher.run("run", "--", "uname", "-a");

        assertThat(result.out()).matches("Linux thimble 6\\.\\S+ .* x86_64 GNU/Linux\n");
        assertThat(result.err()).isEmpty();
        assertThat(result.status()).isZero();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "exit 0 | 0",
                "exit 3 | 3",
                "exit 255 | 255",
                "kill -9 $$ | 137",
                "exec /no/such | 127",
                "exec /etc | 126"
            })
    void returns_the_command_s_exit_status(String script, int status) {
        assertThat(Launcher.run("run", "--", "sh", "-c", script).status()).isEqualTo(status);
    }

    @Test
    void passes_binary_input_through_to_its_end() {
        long seed = new SplittableRandom().nextLong();
        byte[] input = new byte[6000];
        new SplittableRandom(seed).nextBytes(input);

        Result result = Launcher.run(input, "run", "--", "cat");

        assertThat(result.out()).as("seed %d", seed).isEqualTo(new String(input, StandardCharsets.ISO_8859_1));
        assertThat(result.status()).isZero();
    }

    @Test
    void keeps_standard_output_and_standard_error_apart_and_complete() {
        Result result = Launcher.run(
                "run",
                "--",
                "sh",
                "-c",
                "head -c 2000000 /dev/zero | tr '\\0' '\\377'; echo error >&2; test -t 1 || exit 9");

        assertThat(result.out()).isEqualTo("\u00ff".repeat(2_000_000));
        assertThat(result.err()).isEqualTo("error\n");
        assertThat(result.status()).isEqualTo(9);
    }

    @Test
    void copies_before_and_after_the_command() throws IOException {
        Path in = Files.createDirectory(folder.resolve("in"));
        Files.writeString(in.resolve("file"), "content");
        Path out = folder.resolve("out");

        Result result = Launcher.run(
                new byte[] {'x'},
                "run",
                "--copy-in",
                in + ":/srv/",
                "--copy-out",
                "/srv:" + out,
                "-w",
                "/srv/in",
                "--",
                "sh",
                "-c",
                "cat file; cat > new; echo err >&2; exit 6");

        assertThat(result.out()).isEqualTo("content");
        assertThat(result.err()).isEqualTo("err\n");
        assertThat(result.status()).isEqualTo(6);
        assertThat(out.resolve("in/new")).hasContent("x");
        assertThat(Launcher.run("run", "--copy-out", "/no/such:" + out, "--", "true"))
                .satisfies(missing -> assertThat(missing.err()).contains("/no/such: No such file or directory"))
                .satisfies(missing -> assertThat(missing.status()).isEqualTo(124));
    }

    @Test
    void a_shell_takes_its_commands_from_a_stream() {
        Result result = Launcher.run("echo $((6 * 7)); exit 5\n".getBytes(StandardCharsets.UTF_8), "run");

        assertThat(result.out()).isEqualTo("42\n");
        assertThat(result.status()).isEqualTo(5);
    }

    @Test
    void hands_over_environment_directory_host_name_and_machine() {
        Result result = Launcher.run(
                "run",
                "--vcpus",
                "2",
                "-m",
                "128M",
                "--append",
                "one=1 two",
                "--env",
                "A=b c",
                "--hostname",
                "box",
                "-w",
                "/usr",
                "--",
                "sh",
                "-c",
                "echo \"$A\" $(hostname) $PWD $(nproc); cat /proc/cmdline");

        assertThat(result.out()).startsWith("b c box /usr 2\n").contains("one=1 two");
    }

    @Test
    void powers_off_without_acpi() {
        Result result = Launcher.run("run", "--no-acpi", "--", "sh", "-c", "exit 4");

        assertThat(result.status()).isEqualTo(4);
        assertThat(result.err()).isEmpty();
    }

    @Test
    void tells_a_guest_s_panic() {
        Result result = Launcher.run("run", "--", "sh", "-c", "echo c > /proc/sysrq-trigger");

        assertThat(result.status()).isEqualTo(121);
        assertThat(result.err()).matches("thimble: the guest's kernel panicked.*\\R");
    }

    @Test
    void says_where_the_time_went() {
        Result result = Launcher.run("run", "--timeline", "--", "true");

        assertThat(result.err())
                .contains("launcher's script", "JVM: main entered", "first KVM_RUN", "guest agent", "ended");
    }

    @Test
    void ends_when_nobody_reads_its_output() throws IOException {
        Process process = Launcher.command("run", "--", "yes").start();
        try (InputStream out = process.getInputStream()) {
            assertThat(out.read()).isEqualTo('y');
        }

        assertThat(Scripts.await(process)).isEqualTo(141);
    }

    @Test
    void ends_the_VM_on_an_interrupt() throws IOException {
        Process process =
                Launcher.command("run", "--", "sh", "-c", "echo up; sleep 1000").start();
        assertThat(process.getInputStream().read()).isEqualTo('u');

        assertThat(new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start())
                .satisfies(kill -> assertThat(kill.waitFor()).isZero());

        assertThat(Scripts.await(process)).isEqualTo(130);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "110 | run --vcpu 2",
                "110 | run --memory lots",
                "110 | rum",
                "112 | run --kernel /no/such/file",
                "112 | run --initrd /no/such/file",
                "112 | run --kernel NOT_A_KERNEL",
                "113 | run --memory 8M",
                "113 | run --memory 16M",
                "114 | run --vcpus 255",
                "114 | run --vcpus 0",
                "115 | run --name a/b"
            })
    void refuses_bad_input_in_one_line_with_a_status_of_its_own(int status, String line) throws IOException {
        Path text = Files.writeString(folder.resolve("text"), "This is no kernel.\n".repeat(1000));

        Result result =
                Launcher.run(line.replace("NOT_A_KERNEL", text.toString()).split(" "));

        assertThat(result.status()).as(result.err()).isEqualTo(status);
        assertThat(result.err()).matches("thimble: .+\\R").doesNotContain("Exception", "\tat ");
        assertThat(result.out()).isEmpty();
    }

    @Test
    void the_doctor_finds_that_VMs_can_run() {
        Result result = Launcher.run("doctor");

        assertThat(result.out()).contains("ok       KVM: /dev/kvm can be used").endsWith("VMs can run here.\n");
        assertThat(result.status()).isZero();
    }
}
