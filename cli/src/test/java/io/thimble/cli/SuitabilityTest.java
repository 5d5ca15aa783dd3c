package io.thimble.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SuitabilityTest {
    private static final byte[] SIGN = "kvm-pvm".getBytes(StandardCharsets.US_ASCII);

    /** About the edge of the block that is read at once, too. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 65_535, 65_536, 65_532, 65_529, 131_065, 200_000 - 7})
    void finds_the_sign_wherever_it_is(int at) throws IOException {
        byte[] kernel = new byte[200_000];
        System.arraycopy(SIGN, 0, kernel, at, SIGN.length);

        assertThat(Suitability.hasSign(new ByteArrayInputStream(kernel))).isTrue();
    }

    @Test
    void finds_none_where_there_is_none() throws IOException {
        assertThat(Suitability.hasSign(new ByteArrayInputStream(new byte[100_000])))
                .isFalse();
        assertThat(Suitability.hasSign(new ByteArrayInputStream("kvm-pv".getBytes(StandardCharsets.US_ASCII))))
                .isFalse();
        assertThat(Suitability.hasSign(new ByteArrayInputStream(new byte[0]))).isFalse();
    }

    @Test
    void knows_a_kernel_by_its_header() throws IOException {
        byte[] bzImage = new byte[0x1000];
        System.arraycopy("HdrS".getBytes(StandardCharsets.US_ASCII), 0, bzImage, 0x202, 4);
        InputStream image = new ByteArrayInputStream(bzImage);

        assertThat(Suitability.isKernel(image)).isTrue();
        assertThat(image.readAllBytes()).as("from the beginning").hasSize(bzImage.length);
        assertThat(Suitability.isKernel(new ByteArrayInputStream(new byte[] {0x7f, 'E', 'L', 'F'})))
                .isTrue();
        assertThat(Suitability.isKernel(new ByteArrayInputStream(new byte[0x1000])))
                .isFalse();
        assertThat(Suitability.isKernel(new ByteArrayInputStream(new byte[0]))).isFalse();
    }
}
