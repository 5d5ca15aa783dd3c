package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ProgramsTest {
    @Test
    void finds_what_is_installed_and_nothing_else() {
        assertThat(Programs.find("sh"))
                .hasValueSatisfying(path -> assertThat(path).isExecutable().hasFileName("sh"));
        assertThat(Programs.find("no-such-program")).isEmpty();
    }
}
