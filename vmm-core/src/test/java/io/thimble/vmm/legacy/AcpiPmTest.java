package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.AcpiPm.*;
import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.vmm.bus.Bus;
import org.junit.jupiter.api.Test;

class AcpiPmTest {
    private static final int STATUS = PM1A_EVENT_PORT;
    private static final int ENABLE = PM1A_EVENT_PORT + 2;
    private static final int CONTROL = PM1A_CONTROL_PORT;
    private static final int PWRBTN = ACPI_BITMASK_POWER_BUTTON_STATUS;

    private final RecordingLine sci = new RecordingLine();
    private final RecordingEvents events = new RecordingEvents();
    private final AcpiPm pm = new AcpiPm(sci, events);
    private final Bus bus = Bus.pio().add("PM1a", PM1A_EVENT_PORT, LENGTH, pm).build();

    @Test
    void is_in_acpi_mode_from_the_start_and_stays() {
        assertThat(bus.read(CONTROL, 2)).isEqualTo(ACPI_BITMASK_SCI_ENABLE);
        bus.write(CONTROL, 2, 0);
        assertThat(bus.read(CONTROL, 2)).isEqualTo(ACPI_BITMASK_SCI_ENABLE);
    }

    @Test
    void the_power_button_raises_sci_once_enabled_and_falls_when_acknowledged() {
        assertThat(pm.pressPowerButton()).isFalse();
        assertThat(bus.read(STATUS, 2)).isEqualTo(PWRBTN);
        assertThat(sci.level()).isFalse();
        bus.write(ENABLE, 2, ACPI_BITMASK_POWER_BUTTON_ENABLE);
        assertThat(sci.level()).isTrue();
        bus.write(STATUS, 2, PWRBTN);
        assertThat(sci.level()).isFalse();
        assertThat(pm.pressPowerButton()).isTrue();
        assertThat(sci.level()).isTrue();
        bus.write(ENABLE, 2, 0);
        assertThat(sci.level()).isFalse();
    }

    @Test
    void status_bits_are_cleared_by_writing_one_and_only_those() {
        pm.pressPowerButton();
        bus.write(STATUS, 2, 0xffff & ~PWRBTN);
        assertThat(bus.read(STATUS, 2)).isEqualTo(PWRBTN);
        bus.write(STATUS, 1, 0xff);
        assertThat(bus.read(STATUS, 2)).isEqualTo(PWRBTN);
        bus.write(STATUS + 1, 1, PWRBTN >> 8);
        assertThat(bus.read(STATUS, 2)).isZero();
    }

    @Test
    void enable_keeps_the_bits_of_every_fixed_event() {
        bus.write(ENABLE, 2, 0xffff);
        assertThat(bus.read(ENABLE, 2)).isEqualTo(0x0721);
        assertThat(bus.read(STATUS, 4)).isEqualTo(0x0721_0000L);
    }

    @Test
    void s5_with_sleep_enable_powers_off() {
        bus.write(CONTROL, 2, SLP_TYP_S5 << 10);
        assertThat(events.seen).isEmpty();
        assertThat(bus.read(CONTROL, 2)).isEqualTo((SLP_TYP_S5 << 10) | ACPI_BITMASK_SCI_ENABLE);
        bus.write(CONTROL, 2, (SLP_TYP_S5 << 10) | ACPI_BITMASK_SLEEP_ENABLE | ACPI_BITMASK_SCI_ENABLE);
        assertThat(events.seen).containsExactly("powerOff");
        assertThat(bus.read(CONTROL, 2) & ACPI_BITMASK_SLEEP_ENABLE)
                .as("write-only")
                .isZero();
    }

    @Test
    void other_sleep_types_do_nothing() {
        for (int type = 0; type < 8; type++) {
            if (type != SLP_TYP_S5) {
                bus.write(CONTROL, 2, (type << 10) | ACPI_BITMASK_SLEEP_ENABLE);
            }
        }
        assertThat(events.seen).isEmpty();
    }

    @Test
    void restored_it_raises_sci_again() {
        bus.write(ENABLE, 2, PWRBTN);
        pm.pressPowerButton();
        RecordingLine otherSci = new RecordingLine();
        AcpiPm other = new AcpiPm(otherSci, events);
        other.restore(pm.state());
        assertThat(other.state()).isEqualTo(pm.state());
        assertThat(otherSci.level()).isTrue();
    }
}
