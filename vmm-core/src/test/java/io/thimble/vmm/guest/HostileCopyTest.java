package io.thimble.vmm.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.thimble.vmm.CopyOptions;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a hostile guest may send for a copy, and that it stays in its place. */
class HostileCopyTest {
    private static final int FILE = WireProtocol.FILE;
    private static final int FOLDER = WireProtocol.FOLDER;
    private static final int LINK = WireProtocol.LINK;
    private static final int DATA = WireProtocol.DATA;
    private static final int UP = WireProtocol.UP;
    private static final byte[] HUGE = {-1, -1, -1, -1, -1, -1, -1, 0x7f};

    @TempDir
    Path folder;

    private Path target = Path.of("");
    private Path outside = Path.of("");
    private int targets;

    @BeforeEach
    void prepare() throws IOException {
        target = folder.resolve("target");
        outside = Files.createDirectory(folder.resolve("outside"));
        Files.writeString(outside.resolve("precious"), "as it was");
    }

    @AfterEach
    void nothing_outside_has_changed() throws IOException {
        assertThat(outside.resolve("precious")).hasContent("as it was");
        assertThat(outside).isDirectoryContaining("glob:**/precious");
        try (var names = Files.list(outside)) {
            assertThat(names).hasSize(1);
        }
        try (var names = Files.list(folder)) {
            assertThat(names.map(name -> name.getFileName().toString()))
                    .allMatch(name -> name.startsWith("target") || name.equals("outside"));
        }
    }

    private void copy(ScriptedChannel guest) throws IOException {
        copy(guest, CopyOptions.DEFAULTS);
    }

    private void copy(ScriptedChannel guest, CopyOptions options) throws IOException {
        new AgentClient(() -> guest).copyOut("/x", target, options);
    }

    private static ScriptedChannel guest() {
        return new ScriptedChannel();
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Each into a target of its own. */
    private void refused(ScriptedChannel guest, Problem problem) {
        target = folder.resolve("target-" + ++targets);
        assertThatThrownBy(() -> copy(guest))
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.problem()).isEqualTo(problem));
        assertThat(guest.isOpen()).isFalse();
    }

    @Test
    void takes_a_tree() throws IOException {
        copy(guest().entry(FOLDER, 0755, "")
                .entry(FILE, 0644, "a")
                .frame(DATA, text("con"))
                .frame(DATA, text("tent"))
                .frame(UP)
                .entry(LINK, 0777, "b\0a")
                .frame(UP)
                .frame(0x7f, text("of a later version"))
                .frame(WireProtocol.DONE, new byte[24]));
        assertThat(target.resolve("a")).hasContent("content");
        assertThat(Files.readSymbolicLink(target.resolve("b"))).hasToString("a");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ".", "..", "../outside/x", "/etc/x", "a/b", "a/", "a\0b"})
    void refuses_names_that_are_more_than_a_name(String name) {
        refused(guest().entry(FOLDER, 0755, "").entry(FILE, 0644, name), Problem.PROTOCOL);
        refused(guest().entry(FOLDER, 0755, "").entry(FOLDER, 0755, name), Problem.PROTOCOL);
    }

    @Test
    void refuses_a_name_that_is_too_long_and_one_for_the_outermost() {
        refused(guest().entry(FOLDER, 0755, "").entry(FILE, 0644, "x".repeat(256)), Problem.PROTOCOL);
        refused(guest().entry(FILE, 0644, "../outside/precious"), Problem.PROTOCOL);
        refused(guest().entry(FILE, 0644, "").frame(UP).entry(FILE, 0644, ""), Problem.PROTOCOL);
    }

    @Test
    void writes_through_no_link_of_the_same_stream() {
        ScriptedChannel file = guest().entry(FOLDER, 0755, "")
                .entry(LINK, 0777, "l\0" + outside.resolve("precious"))
                .entry(FILE, 0644, "l")
                .frame(DATA, text("replaces the link itself"))
                .frame(UP);
        refused(file, Problem.LOST);
        assertThat(target.resolve("l")).hasContent("replaces the link itself");
        ScriptedChannel directory = guest().entry(FOLDER, 0755, "")
                .entry(LINK, 0777, "d\0" + outside)
                .entry(FOLDER, 0755, "d")
                .entry(FILE, 0644, "planted");
        assertThatThrownBy(() -> copy(directory)).isInstanceOf(FileSystemException.class);
        ScriptedChannel outermost = guest().entry(LINK, 0777, "\0" + outside);
        Path link = folder.resolve("target-link");
        assertThatThrownBy(() -> new AgentClient(() -> outermost).copyOut("/x", link, CopyOptions.DEFAULTS))
                .isInstanceOf(GuestException.class);
        assertThat(link).isSymbolicLink();
        ScriptedChannel second = guest().entry(FOLDER, 0755, "").entry(FILE, 0644, "planted");
        assertThatThrownBy(() -> new AgentClient(() -> second).copyOut("/x", link, CopyOptions.DEFAULTS))
                .isInstanceOf(FileSystemException.class);
    }

    @Test
    void goes_up_no_further_than_it_went_down() {
        refused(guest().frame(UP), Problem.PROTOCOL);
        refused(guest().entry(FOLDER, 0755, "").frame(UP).frame(UP), Problem.PROTOCOL);
    }

    @Test
    void drops_set_id_and_sticky_bits() throws IOException {
        copy(guest().entry(FILE, 07755, "").frame(UP).frame(WireProtocol.DONE, new byte[24]));
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(target)))
                .isEqualTo("rwxr-xr-x");
        assertThat((Integer) Files.getAttribute(target, "unix:mode") & 07000).isZero();
    }

    @Test
    void refuses_content_without_a_file_holes_without_end_and_times_that_are_none() {
        refused(guest().frame(DATA, text("x")), Problem.PROTOCOL);
        refused(guest().entry(FOLDER, 0755, "").frame(DATA, text("x")), Problem.PROTOCOL);
        refused(guest().entry(FILE, 0644, "").frame(WireProtocol.HOLE, HUGE), Problem.LIMIT);
        byte[] negative = {-1, -1, -1, -1, -1, -1, -1, -1};
        refused(guest().entry(FILE, 0644, "").frame(WireProtocol.HOLE, negative), Problem.PROTOCOL);
        byte[] nanos = new byte[16];
        nanos[7] = 0x7f;
        refused(guest().frame(FILE, nanos), Problem.PROTOCOL);
        refused(guest().frame(FILE, new byte[15]), Problem.PROTOCOL);
        refused(guest().entry(FOLDER, 0755, "").entry(LINK, 0777, "no-target"), Problem.PROTOCOL);
        refused(guest().entry(FOLDER, 0755, "").entry(LINK, 0777, "l\0a\0b"), Problem.PROTOCOL);
    }

    @Test
    void refuses_more_than_the_limits() {
        ScriptedChannel deep = guest().entry(FOLDER, 0755, "");
        for (int i = 0; i < 200; i++) {
            deep.entry(FOLDER, 0755, "d");
        }
        refused(deep, Problem.LIMIT);
        CopyOptions options = CopyOptions.DEFAULTS.withMaxEntries(2).withMaxBytes(5);
        ScriptedChannel many =
                guest().entry(FOLDER, 0755, "").entry(LINK, 0, "a\0b").entry(LINK, 0, "c\0d");
        assertThatThrownBy(() -> copy(many, options)).hasMessageContaining("more than 2 files");
    }

    @Test
    void believes_no_end_in_the_middle_and_no_end_that_never_comes() {
        refused(guest().frame(WireProtocol.DONE, new byte[24]), Problem.PROTOCOL);
        refused(guest().entry(FOLDER, 0755, "").frame(WireProtocol.DONE, new byte[24]), Problem.PROTOCOL);
        refused(guest(), Problem.LOST);
        refused(guest().raw(new byte[] {1, 0, 1, FILE}), Problem.PROTOCOL);
        refused(guest().raw(new byte[] {9, 0, 0, FILE, 1}), Problem.LOST);
    }

    @Test
    void shows_the_guest_s_words_without_control_characters() {
        byte[] error = text("\5\0\2\0evil\33[2J\nline");
        assertThatThrownBy(() -> copy(guest().frame(WireProtocol.ERROR, error)))
                .hasMessage("guest: evil?[2J?line")
                .isInstanceOfSatisfying(
                        GuestException.class, e -> assertThat(e.errno()).isEqualTo(2));
    }
}
