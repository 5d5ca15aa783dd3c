package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.cli.RunOptions.Talk;
import io.thimble.vmm.ConsoleKind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RunParserTest {
    private static RunOptions parse(String... arguments) {
        return RunParser.parse(List.of(arguments));
    }

    @Test
    void runs_a_shell_in_the_default_VM_without_arguments() {
        RunOptions options = parse();

        assertThat(options.command).isEmpty();
        assertThat(options.vcpus).isEqualTo(1);
        assertThat(options.memory).isEqualTo(256L << 20);
        assertThat(options.acpi).isTrue();
        assertThat(options.hasAgent()).isTrue();
    }

    @Test
    void reads_every_option_in_both_spellings() {
        RunOptions options = parse(
                "--vcpus=2",
                "-m",
                "1G",
                "--kernel",
                "k",
                "--pvh",
                "--initrd=i",
                "--append",
                "a=1",
                "--append=b c",
                "--no-acpi",
                "--prefault",
                "--name=n",
                "-e",
                "A=1=2",
                "--env",
                "B=",
                "--hostname",
                "h",
                "-w",
                "/srv",
                "--vsock=/run/v",
                "--timeline",
                "-q");

        assertThat(options.vcpus).isEqualTo(2);
        assertThat(options.memory).isEqualTo(1L << 30);
        assertThat(options.kernel).isEqualTo("k");
        assertThat(options.pvh).isTrue();
        assertThat(options.initrd).isEqualTo("i");
        assertThat(options.hasAgent()).isFalse();
        assertThat(options.append).containsExactly("a=1", "b c");
        assertThat(options.acpi).isFalse();
        assertThat(options.prefault).isTrue();
        assertThat(options.name).isEqualTo("n");
        assertThat(options.environment).containsEntry("A", "1=2").containsEntry("B", "");
        assertThat(options.hostname).isEqualTo("h");
        assertThat(options.directory).isEqualTo("/srv");
        assertThat(options.vsock).isEqualTo("/run/v");
        assertThat(options.timeline).isTrue();
        assertThat(options.talk).isEqualTo(Talk.QUIET);
    }

    @Test
    void tells_libkrunfw_from_files() {
        assertThat(parse("--kernel", "krunfw").isKrunfw()).isTrue();
        assertThat(parse("--kernel", "/opt/lib/libkrunfw.so.5.5.0").isKrunfw()).isTrue();
        assertThat(parse("--kernel", "./krunfw").isKrunfw()).isFalse();
        assertThat(parse("--kernel", "/boot/libkrunfw/vmlinuz").isKrunfw()).isFalse();
        assertThat(parse("--unpack", "--kernel", "vmlinuz").unpack).isTrue();
        assertThat(parse("--console", "hvc0").console).isEqualTo(ConsoleKind.VIRTIO);
    }

    @Test
    void leaves_the_command_s_own_options_alone() {
        assertThat(parse("--", "--vcpus", "2").command).containsExactly("--vcpus", "2");
        assertThat(parse("-m", "64M", "uname", "-a", "--", "-q").command).containsExactly("uname", "-a", "--", "-q");
        assertThat(parse("--", "--").command).containsExactly("--");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--vcpu 2       | no option --vcpu (did you mean --vcpus?)",
                "--momory 1G    | no option --momory (did you mean --memory?)",
                "--xyz          | no option --xyz;",
                "-x             | no option -x;",
                "--vcpus        | --vcpus needs a value",
                "--vcpus two    | --vcpus two: not a number",
                "--pvh=1        | --pvh takes no value",
                "--memory much  | --memory much: not a size",
                "--env A        | --env A: write NAME=VALUE",
                "--env =A       | --env =A: write NAME=VALUE",
                "--pvh          | name one",
                "--console tty1 | there are ttyS0 and hvc0",
                "--unpack       | name one",
                "--unpack --kernel krunfw | name one",
                "--no-initrd ls | drop either",
                "--no-initrd --initrd x | contradict"
            })
    void rejects_what_it_does_not_understand(String line, String message) {
        assertThatExceptionOfType(UsageException.class)
                .isThrownBy(() -> parse(line.strip().split(" ")))
                .withMessageContaining(message);
    }

    @Test
    void help_is_given_whatever_else_is_wrong() {
        assertThat(parse("--pvh", "--help").help).isTrue();
    }

    @Test
    void reads_copies_both_ways(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("a:b"), "");

        RunOptions options =
                parse("--copy-in", file + ":/srv/", "--copy-out=/srv/out:" + folder + "/c:d", "--copy-out", "/x:here");

        assertThat(options.copyIn).containsExactly(new Copy(file, "/srv/"));
        assertThat(options.copyOut)
                .containsExactly(new Copy(folder.resolve("c:d"), "/srv/out"), new Copy(Path.of("here"), "/x"));
        assertThat(options.copies()).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--copy-in /etc/passwd | write HOST:GUEST",
                "--copy-in /etc/passwd:relative | write HOST:GUEST",
                "--copy-in :/x | write HOST:GUEST",
                "--copy-in /no/such/file:/x | does not exist",
                "--copy-out /x | write GUEST:HOST",
                "--copy-out x:/y | write GUEST:HOST",
                "--copy-out /x: | write GUEST:HOST",
                "--copy-out /x:/no/such/folder/y | make it first",
                "--no-initrd --copy-out /x:y | need the guest agent"
            })
    void refuses_copies_that_cannot_be_made(String line, String message) {
        assertThatExceptionOfType(UsageException.class)
                .isThrownBy(() -> parse(line.split(" ")))
                .withMessageContaining(message);
    }
}
