package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.cli.NestedPlan.Transfer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NestedPlanTest {
    @TempDir
    Path folder;

    private static NestedPlan plan(String... arguments) {
        return NestedPlan.of(RunParser.parse(List.of(arguments)));
    }

    @Test
    void passes_on_what_needs_nothing_of_this_host() {
        NestedPlan plan = plan("--nested", "--vcpus=2", "-m", "1G", "-e", "A=/b:c", "--no-acpi", "echo", "--disk");

        assertThat(plan.arguments())
                .containsExactly("--vcpus", "2", "-m", "1G", "-e", "A=/b:c", "--no-acpi", "--", "echo", "--disk");
        assertThat(plan.files()).isEmpty();
        assertThat(plan.disks()).isEmpty();
        assertThat(plan.results()).isEmpty();
    }

    @Test
    void gives_files_under_their_own_names_and_says_where_they_are_there() throws Exception {
        Path tree = Files.createDirectory(folder.resolve("tree"));
        NestedPlan plan = plan(
                "--nested",
                "--kernel",
                "a/vmlinux",
                "--copy-in",
                tree + ":/srv/",
                "--copy-out",
                "/srv:" + folder.resolve("out"));

        assertThat(plan.arguments())
                .containsExactly(
                        "--kernel",
                        "/code/files/0/vmlinux",
                        "--copy-in",
                        "/code/files/1/tree:/srv/",
                        "--copy-out",
                        "/srv:/results/0",
                        "--");
        assertThat(plan.files())
                .containsExactly(
                        new Transfer(Path.of("a/vmlinux"), "files/0/vmlinux"), new Transfer(tree, "files/1/tree"));
        assertThat(plan.results()).containsExactly(new Transfer(folder.resolve("out"), "0"));
    }

    @Test
    void gives_the_initial_ram_disk() {
        NestedPlan plan = plan("--nested", "--initrd=b/initrd");

        assertThat(plan.arguments()).containsExactly("--initrd", "/code/files/0/initrd", "--");
        assertThat(plan.files()).containsExactly(new Transfer(Path.of("b/initrd"), "files/0/initrd"));
    }

    @Test
    void makes_disks_the_nested_host_s_and_keeps_their_settings() {
        NestedPlan plan = plan("--nested", "--disk", "a,,b.img,ro,bps=10M", "--disk", "c");

        assertThat(plan.arguments())
                .containsExactly("--disk", "/dev/thimble-disk-0,ro,bps=10M", "--disk", "/dev/thimble-disk-1", "--");
        assertThat(plan.disks()).extracting(disk -> disk.path().toString()).containsExactly("a,b.img", "c");
    }

    @ParameterizedTest
    @ValueSource(strings = {"--net tap=tap0", "--net passt", "--vsock /tmp/socket"})
    void refuses_what_leads_to_this_host_s_network(String option) {
        String[] words = option.split(" ", -1);
        assertThatExceptionOfType(UsageException.class)
                .isThrownBy(() -> plan("--nested", words[0], words[1]))
                .withMessageContaining(words[0]);
        assertThat(plan("--nested", "--net", "switch=s").arguments()).containsExactly("--net", "switch=s", "--");
    }

    @Test
    void quotes_words_for_the_shell() {
        assertThat(NestedHost.quoted("it's $HOME")).isEqualTo("'it'\\''s $HOME'");
    }
}
