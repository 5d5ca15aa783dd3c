package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class HostMemoryTest {
    @Test
    void tells_bytes_and_not_kibibytes() {
        assertThat(HostMemory.available()).isBetween(16L << 20, 1L << 50);
    }
}
