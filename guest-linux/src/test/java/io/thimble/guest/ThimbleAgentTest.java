package io.thimble.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.agent.CommandSegment;
import io.thimble.vmm.agent.StopAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The agent beside another init, as an ordinary process: needs neither KVM nor root. */
class ThimbleAgentTest {
    private static final String LONG_RUNNING = "echo up; while :; do sleep 0.05; done";

    @TempDir
    Path folder;

    @Test
    void reports_hello_ready_and_the_exit_status() throws Exception {
        try (AgentRun run = AgentRun.command("sh", "-c", "echo hello; exit 3")) {
            run.awaitTold("stopping");
            String release =
                    Files.readString(Path.of("/proc/sys/kernel/osrelease")).strip();
            assertThat(run.told)
                    .containsExactly("hello 1 false " + release, "ready", "exit 3", "stopping POWER_OFF COMMAND_ENDED");
            assertThat(run.awaitEnd()).isEqualTo(3);
            assertThat(run.rest()).isEqualTo("hello\n");
            assertThat(run.channel.ignoredFrames()).isZero();
        }
    }

    @Test
    void reports_success_as_zero() throws Exception {
        try (AgentRun run = AgentRun.command("true")) {
            run.awaitTold("exit 0");
            assertThat(run.awaitEnd()).isZero();
        }
    }

    @Test
    void maps_death_by_signal_to_128_plus_its_number() throws Exception {
        try (AgentRun run = AgentRun.command("sh", "-c", "kill -KILL $$")) {
            run.awaitTold("exit 137");
            assertThat(run.awaitEnd()).isEqualTo(137);
        }
    }

    @Test
    void reports_127_and_a_message_for_a_command_that_is_not_found() throws Exception {
        try (AgentRun run = AgentRun.command("no-such-command")) {
            run.awaitTold("exit 127");
            assertThat(run.told).contains("log no-such-command: not found").doesNotContain("ready");
            assertThat(run.awaitEnd()).isEqualTo(127);
            assertThat(run.rest()).isEqualTo("thimble-agent: no-such-command: not found\n");
        }
    }

    @Test
    void reports_126_for_a_file_that_is_not_executable() throws Exception {
        Path file = Files.writeString(folder.resolve("data"), "data");
        try (AgentRun run = AgentRun.command(file.toString())) {
            run.awaitTold("exit 126");
            assertThat(run.awaitEnd()).isEqualTo(126);
            assertThat(run.rest()).contains(file + ": Permission denied");
        }
    }

    @Test
    void takes_command_environment_and_directory_from_the_segment() throws Exception {
        List<String> command =
                List.of("sh", "-c", "printf '%s|' \"$@\"; echo \"$GREETING $(pwd)\"", "x", "a b", "", "'\"$\n");
        CommandSegment segment = new CommandSegment(
                command, Map.of("GREETING", "good day=1"), null, "/usr", null, false, 0, 0, null, false);
        try (AgentRun run = AgentRun.segment(folder, segment)) {
            run.awaitTold("exit 0");
            run.awaitEnd();
            assertThat(run.rest()).isEqualTo("a b||'\"$\n|good day=1 /usr\n");
        }
    }

    @Test
    void reports_126_for_a_directory_that_does_not_exist() throws Exception {
        CommandSegment segment =
                new CommandSegment(List.of("true"), Map.of(), null, "/no/such", null, false, 0, 0, null, false);
        try (AgentRun run = AgentRun.segment(folder, segment)) {
            run.awaitTold("exit 126");
            run.awaitEnd();
            assertThat(run.rest()).contains("/no/such: No such file or directory");
        }
    }

    @Test
    void runs_commands_with_megabytes_of_arguments() throws Exception {
        try (AgentRun run = AgentRun.segment(folder, longCommand(50))) {
            run.awaitTold("exit 0");
            run.awaitEnd();
            assertThat(run.rest()).isEqualTo("50 100000\n");
        }
    }

    @Test
    void reports_126_for_more_arguments_than_the_kernel_takes() throws Exception {
        try (AgentRun run = AgentRun.segment(folder, longCommand(70))) {
            run.awaitTold("exit 126");
            run.awaitEnd();
            assertThat(run.rest()).contains("too long for the kernel");
        }
    }

    private static CommandSegment longCommand(int arguments) {
        List<String> command = new ArrayList<>(List.of("sh", "-c", "echo $# ${#1}", "x"));
        for (int i = 0; i < arguments; i++) {
            command.add("y".repeat(100_000));
        }
        return CommandSegment.of(command);
    }

    @Test
    void ends_the_command_by_term_when_the_host_asks() throws Exception {
        try (AgentRun run = AgentRun.command("sh", "-c", "trap 'exit 9' TERM; " + LONG_RUNNING)) {
            run.awaitTold("ready");
            assertThat(run.readLine()).isEqualTo("up");
            run.channel.requestShutdown(StopAction.POWER_OFF, Duration.ofSeconds(20));
            run.awaitTold("exit");
            assertThat(run.told).endsWith("stopping POWER_OFF HOST", "exit 9 stopped");
            assertThat(run.awaitEnd()).isEqualTo(9);
        }
    }

    @Test
    void kills_the_command_that_ignores_term_after_the_grace() throws Exception {
        try (AgentRun run = AgentRun.command("sh", "-c", "trap '' TERM; " + LONG_RUNNING)) {
            run.awaitTold("ready");
            assertThat(run.readLine()).isEqualTo("up");
            run.channel.requestShutdown(StopAction.REBOOT, Duration.ofMillis(100));
            run.awaitTold("exit");
            assertThat(run.told).endsWith("stopping REBOOT HOST", "exit 137 stopped");
        }
    }

    @Test
    void a_second_request_may_shorten_the_grace() throws Exception {
        try (AgentRun run = AgentRun.command("sh", "-c", "trap '' TERM; " + LONG_RUNNING)) {
            run.awaitTold("ready");
            assertThat(run.readLine()).isEqualTo("up");
            run.channel.requestShutdown(StopAction.POWER_OFF, Duration.ofMinutes(10));
            run.awaitTold("stopping");
            run.channel.requestShutdown(StopAction.POWER_OFF, Duration.ZERO);
            run.awaitTold("exit 137 stopped");
        }
    }

    @Test
    void finds_requests_behind_garbage() throws Exception {
        try (AgentRun run = AgentRun.command("sh", "-c", LONG_RUNNING)) {
            run.awaitTold("ready");
            byte[] garbage = new byte[700];
            for (int i = 0; i < garbage.length; i++) {
                garbage[i] = (byte) (i % 5 == 0 ? 0xA5 : i);
            }
            run.control.write(garbage);
            run.channel.setWindowSize(1, 1);
            run.control.write(new byte[] {(byte) 0xA5, 0x7F, 0, 0, 0, 0});
            run.channel.requestShutdown(StopAction.POWER_OFF, Duration.ofSeconds(20));
            run.control.write(new byte[600]); // as much as a false header in the garbage can ask for
            run.awaitTold("exit 143 stopped");
        }
    }

    @Test
    void sets_the_window_size_of_its_terminal() throws Exception {
        try (Pty terminal = new Pty();
                AgentRun run = new AgentRun(
                        ProcessBuilder.Redirect.from(terminal.path().toFile()), "--", "sh", "-c", LONG_RUNNING)) {
            run.awaitTold("ready");
            run.channel.setWindowSize(43, 132);
            run.channel.requestShutdown(StopAction.POWER_OFF, Duration.ofSeconds(20));
            run.awaitTold("exit");
            assertThat(terminal.windowSize()).isEqualTo("43 132");
        }
    }

    @Test
    void is_ready_at_once_and_waits_for_requests_when_it_has_no_command() throws Exception {
        try (AgentRun run = new AgentRun(
                ProcessBuilder.Redirect.PIPE,
                "--segment",
                folder.resolve("none").toString())) {
            run.awaitTold("ready");
            run.channel.requestShutdown(StopAction.POWER_OFF, Duration.ZERO);
            run.awaitTold("stopping POWER_OFF HOST");
            assertThat(run.awaitEnd()).isZero();
            assertThat(run.told).noneMatch(line -> line.startsWith("exit"));
        }
    }

    @Test
    void stops_its_command_when_it_is_terminated_itself() throws Exception {
        try (AgentRun run = AgentRun.command("sh", "-c", LONG_RUNNING)) {
            run.awaitTold("ready");
            // Process.destroy would close the pipes as well, and the command could end by SIGPIPE first.
            run.process.toHandle().destroy();
            run.awaitTold("exit");
            assertThat(run.told).endsWith("stopping POWER_OFF SIGNAL", "exit 143 stopped");
        }
    }

    @Test
    void leaves_processes_alone_that_are_not_its_command_s() throws Exception {
        Process bystander = new ProcessBuilder("sleep", "60").start();
        try (AgentRun run = AgentRun.command("sh", "-c", LONG_RUNNING)) {
            run.awaitTold("ready");
            run.channel.requestShutdown(StopAction.POWER_OFF, Duration.ZERO);
            run.awaitTold("exit");
            run.awaitEnd();
            assertThat(bystander.isAlive()).isTrue();
        } finally {
            bystander.destroyForcibly();
        }
    }

    @Test
    void runs_the_command_without_a_control_device_and_says_so() throws Exception {
        Process process = new ProcessBuilder(
                        "agent/thimble-agent", "--control", "/no/such/device", "--", "sh", "-c", "exit 5")
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).isEqualTo(5);
        assertThat(output).contains("/no/such/device: No such file or directory");
    }

    @Test
    void rejects_unknown_options() throws Exception {
        Process process = new ProcessBuilder("agent/thimble-agent", "--no-such-option").start();
        String error = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).isEqualTo(2);
        assertThat(error).contains("usage:");
    }
}
