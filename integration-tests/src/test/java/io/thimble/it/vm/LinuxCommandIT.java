package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.vmm.ExitReason;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.MicroVm;
import io.thimble.vmm.MicroVmBuilder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The bundled Linux: a command, what it prints, what it is given, and its exit status. */
@RequiresKvm
@Timeout(120)
class LinuxCommandIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(60));

    private final ConsoleText console = new ConsoleText();

    private ExitReport run(MicroVmBuilder builder) throws InterruptedException {
        try (MicroVm vm = builder.console(console).start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.reason()).as(report.describe()).isEqualTo(ExitReason.POWER_OFF);
            return report;
        }
    }

    @Test
    void what_the_command_prints_arrives_unchanged() throws Exception {
        ExitReport report = run(MicroVm.builder().command("echo", "one", "two  three"));
        assertThat(console.withoutKernelLog()).isEqualTo("one two  three\n");
        assertThat(report.commandStatus()).hasValue(0);
        assertThat(report.lastConsoleLines()).contains("one two  three");
    }

    @ParameterizedTest
    @CsvSource({
        "3, exit 3",
        "137, kill -KILL $$",
        "255, exit 255",
    })
    void the_exit_status_is_the_shells(int status, String script) throws Exception {
        assertThat(run(MicroVm.builder().command("sh", "-c", script)).commandStatus())
                .hasValue(status);
    }

    @Test
    void a_program_that_does_not_exist_ends_with_127() throws Exception {
        assertThat(run(MicroVm.builder().command("no-such-program", "x")).commandStatus())
                .hasValue(127);
        assertThat(console.text()).contains("no-such-program").contains("not found");
    }

    @Test
    void a_file_that_cannot_be_run_ends_with_126() throws Exception {
        assertThat(run(MicroVm.builder().command("/etc/passwd")).commandStatus())
                .hasValue(126);
        assertThat(console.text()).contains("/etc/passwd");
    }

    @Test
    void a_directory_that_does_not_exist_ends_with_126() throws Exception {
        assertThat(run(MicroVm.builder().command("pwd").directory("/nowhere")).commandStatus())
                .hasValue(126);
        assertThat(console.text()).contains("/nowhere");
    }

    @Test
    void environment_host_name_directory_and_arguments_arrive_as_they_are() throws Exception {
        String odd = "a \"b\" 'c' $HOME \\ ü\n;";
        ExitReport report = run(MicroVm.builder()
                .environment("GREETING", odd)
                .environment("PATH", "/bin:/usr/bin")
                .hostname("box-7")
                .directory("/tmp")
                .windowSize(33, 111)
                .command(
                        "sh",
                        "-c",
                        "hostname; pwd; stty size; echo \"$PATH\"; echo \"$GREETING\"; echo \"$1|$2|\"",
                        "sh",
                        odd,
                        ""));
        assertThat(console.withoutKernelLog())
                .isEqualTo("box-7\n/tmp\n33 111\n/bin:/usr/bin\n" + odd + "\n" + odd + "||\n");
        assertThat(report.commandStatus()).hasValue(0);
    }

    @Test
    void a_mebibyte_of_arguments_arrives_whole() throws Exception {
        List<String> command =
                new ArrayList<>(List.of("sh", "-c", "echo $# $(printf %s \"$@\" | md5sum | cut -c1-32)", "sh"));
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < 1024; i++) {
            String argument = ("argument " + i + " ").repeat(100).substring(0, 1023);
            command.add(argument);
            all.append(argument);
        }
        ExitReport report = run(MicroVm.builder().command(command));
        assertThat(console.withoutKernelLog()).isEqualTo("1024 " + Checksums.md5(all.toString()) + "\n");
        assertThat(report.commandStatus()).hasValue(0);
    }

    @Test
    void arguments_that_the_guest_cannot_take_end_with_126_and_the_limit() throws Exception {
        assertThat(run(MicroVm.builder().command("true", "x".repeat(128 << 10))).commandStatus())
                .hasValue(126);
        assertThat(console.text()).contains("128 KiB");
    }

    @Test
    void appended_parameters_reach_the_kernel_and_win_over_defaults() throws Exception {
        run(MicroVm.builder().append("thimble.test=17").append("reboot=t").command("cat", "/proc/cmdline"));
        assertThat(console.text())
                .contains("thimble.test=17")
                .contains("reboot=t")
                .doesNotContain("reboot=k");
    }
}
