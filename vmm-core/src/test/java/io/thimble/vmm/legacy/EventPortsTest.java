package io.thimble.vmm.legacy;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.bus.Bus;
import org.junit.jupiter.api.Test;

/** Pvpanic, the reset ports, debug exit and POST codes on one bus. */
class EventPortsTest {
    private final RecordingEvents events = new RecordingEvents();
    private final ResetPort resetPort = new ResetPort(events);
    private final Port92 port92 = new Port92(events);
    private final Bus bus = Bus.pio()
            .add("pvpanic", Pvpanic.PORT, Pvpanic.LENGTH, new Pvpanic(events))
            .add("reset", ResetPort.PORT, ResetPort.LENGTH, resetPort)
            .add("port92", Port92.PORT, Port92.LENGTH, port92)
            .add("debug-exit", DebugExit.PORT, DebugExit.LENGTH, new DebugExit(events))
            .add("post", PostCodePort.PORT, PostCodePort.LENGTH, new PostCodePort())
            .build();

    @Test
    void pvpanic_tells_its_events_and_reports_only_those() {
        assertThat(bus.read(0x505, 1)).isEqualTo(3);
        bus.write(0x505, 1, 1);
        bus.write(0x505, 1, 2);
        bus.write(0x505, 1, 0xfd);
        bus.write(0x505, 1, 0xfc);
        assertThat(events.seen).containsExactly("panic 1", "panic 2", "panic 1");
    }

    @Test
    void port_cf9_resets_when_rst_cpu_rises() {
        bus.write(0xcf9, 1, 0x02);
        assertThat(bus.read(0xcf9, 1)).isEqualTo(0x02);
        assertThat(events.seen).isEmpty();
        bus.write(0xcf9, 1, ResetPort.RESET_VALUE);
        bus.write(0xcf9, 1, ResetPort.RESET_VALUE);
        assertThat(events.seen).containsExactly("reset port 0xcf9");
    }

    @Test
    void a_pci_probe_next_to_the_reset_port_reaches_nothing() {
        bus.write(0xcf8, 4, 0x8000_0000L);
        assertThat(bus.read(0xcf8, 4)).isEqualTo(0xffff_ffffL);
        assertThat(events.seen).isEmpty();
    }

    @Test
    void port_92_resets_when_bit_0_rises_and_keeps_a20() {
        assertThat(bus.read(0x92, 1)).isEqualTo(2);
        bus.write(0x92, 1, 0);
        assertThat(bus.read(0x92, 1)).isZero();
        bus.write(0x92, 1, 3);
        bus.write(0x92, 1, 1);
        assertThat(events.seen).containsExactly("reset port 0x92");
    }

    @Test
    void debug_exit_gives_the_code_in_any_width() {
        bus.write(0xf4, 1, 0x31);
        bus.write(0xf4, 4, 0xfeed_f00dL);
        bus.write(0xf5, 1, 1);
        assertThat(events.seen).containsExactly("debugExit 49", "debugExit " + 0xfeedf00d);
        assertThat(bus.read(0xf4, 1)).isZero();
    }

    @Test
    void post_codes_are_swallowed_and_the_last_is_kept() {
        bus.write(0x80, 1, 0xff);
        bus.write(0x80, 1, 0x12);
        assertThat(bus.read(0x80, 1)).isEqualTo(0x12);
        assertThat(bus.unclaimedWrites()).isZero();
    }

    @Test
    void reset_ports_are_restored_without_resetting() {
        resetPort.restore(new ResetPort.State(6));
        port92.restore(new Port92.State(3));
        assertThat(resetPort.state()).isEqualTo(new ResetPort.State(6));
        assertThat(port92.state()).isEqualTo(new Port92.State(3));
        assertThat(events.seen).isEmpty();
    }
}
