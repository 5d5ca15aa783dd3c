package io.thimble.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.virtio.console.ConsoleDevice;
import io.thimble.virtio.console.ConsolePort;
import io.thimble.virtio.console.PortOutput;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HvcInputTest {
    private final ConsolePort port = ConsolePort.console(PortOutput.none());
    private final HvcInput input = new HvcInput(port);

    /** Returns what a new driver would read first. */
    private List<Integer> sent() {
        ConsoleDevice device = new ConsoleDevice("console", List.of(port));
        return device.state().ports().getFirst().input();
    }

    @Test
    void the_sysrq_character_is_sent_twice_and_counted_once() {
        byte[] bytes = {9, 'a', 0x0f, 0x0f, 'b', 0x0f};
        assertThat(input.receive(bytes, 1, 5)).isEqualTo(5);
        assertThat(sent()).containsExactly((int) 'a', 15, 15, 15, 15, (int) 'b', 15, 15);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3})
    void half_of_a_pair_is_never_sent(int room) {
        byte[] filler = new byte[ConsolePort.INPUT_CAPACITY - room];
        assertThat(input.receive(filler, 0, filler.length)).isEqualTo(filler.length);
        byte[] bytes = {0x0f, 0x0f};
        int taken = input.receive(bytes, 0, 2);
        assertThat(taken).isEqualTo(room / 2);
        assertThat(sent().subList(filler.length, filler.length + 2 * taken))
                .isEqualTo(Collections.nCopies(2 * taken, 15));
        assertThat(sent()).hasSize(filler.length + 2 * taken);
    }
}
