package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SizesTest {
    @ParameterizedTest
    @CsvSource({
        "256M, 268435456",
        "256, 268435456",
        "512MiB, 536870912",
        "1G, 1073741824",
        "1GiB, 1073741824",
        "1gb, 1073741824",
        "65536k, 67108864",
        "1.5G, 1610612736",
        "1.125GiB, 1207959552",
        "2T, 2199023255552",
        "0, 0"
    })
    void reads_sizes_as_people_write_them(String text, long bytes) {
        assertThat(Sizes.parse("--memory", text)).isEqualTo(bytes);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "M", "-1M", "1X", "1 G", "256B", "1.G", ".5G", "1e3", "99999999999999T", "１M", "1GG"})
    void rejects_anything_else(String text) {
        assertThatExceptionOfType(UsageException.class)
                .isThrownBy(() -> Sizes.parse("--memory", text))
                .withMessage("--memory " + text + ": not a size; write it like 256M, 512MiB or 1G");
    }
}
