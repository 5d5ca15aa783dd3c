package io.thimble.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.api.Test;

class CommandLineTest {
    @Test
    void keeps_what_the_user_wrote() throws BootException {
        assertThat(CommandLine.parse("  console=ttyS0  quiet ")).hasToString("console=ttyS0  quiet");
        assertThat(CommandLine.empty()).hasToString("");
        assertThat(CommandLine.parse("a -- b c")).hasToString("a -- b c");
        assertThat(CommandLine.parse("x=\"a -- b\" c--d")).hasToString("x=\"a -- b\" c--d");
    }

    @Test
    void appends_before_the_arguments_of_init() throws BootException {
        assertThat(CommandLine.parse("a=1 -- run").append("b=2")).hasToString("a=1 b=2 -- run");
        assertThat(CommandLine.parse("a=1").append("b=2 -- run")).hasToString("a=1 b=2 -- run");
        assertThat(CommandLine.parse("-- run").append("-- more")).hasToString("-- run more");
        assertThat(CommandLine.parse("x=\"a -- b\" y").append("z")).hasToString("x=\"a -- b\" y z");
        assertThat(CommandLine.empty().append("b")).hasToString("b");
        assertThat(CommandLine.parse("b").append("")).hasToString("b");
    }

    @Test
    void adds_defaults_that_are_not_set_yet() throws BootException {
        assertThat(CommandLine.parse("console=hvc0 no-pti").withDefaults("console=ttyS0 no_pti=1 reboot=k \"x=a b\""))
                .hasToString("reboot=k \"x=a b\" console=hvc0 no-pti");
        assertThat(CommandLine.parse("-- quiet").withDefaults("quiet")).hasToString("quiet -- quiet");
    }

    @Test
    void finds_names_not_parts_of_them() throws BootException {
        CommandLine line = CommandLine.parse("panic_print=1 \"dyndbg=x y\" ro");
        assertThat(line.sets("panic")).isFalse();
        assertThat(line.sets("panic-print")).isTrue();
        assertThat(line.sets("dyndbg")).isTrue();
        assertThat(line.sets("ro")).isTrue();
        assertThat(line.sets("y")).isFalse();
    }

    @Test
    void rejects_what_is_not_printable_ascii() {
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> CommandLine.parse("quiet\nro"))
                .withMessageContaining("U+000A at position 5");
        assertThatExceptionOfType(BootException.class).isThrownBy(() -> CommandLine.parse("ä"));
        assertThatExceptionOfType(BootException.class).isThrownBy(() -> CommandLine.parse("a\0"));
    }

    @Test
    void rejects_more_characters_than_the_kernel_takes() throws BootException {
        assertThat(CommandLine.parse("x".repeat(2047)).toBytes(2047))
                .hasSize(2048)
                .endsWith('x', 0);
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> CommandLine.parse("x".repeat(2048)).toBytes(2047))
                .withMessageContaining("2048 characters")
                .withMessageContaining("2047 at most");
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> CommandLine.parse("x".repeat(0x10000)).toBytes(Integer.MAX_VALUE))
                .withMessageContaining("65535 at most");
    }
}
