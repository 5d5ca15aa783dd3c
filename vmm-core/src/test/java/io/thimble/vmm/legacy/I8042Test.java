package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.I8042.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

/** The sequences that Linux's i8042 and atkbd drivers send. */
class I8042Test {
    private final RecordingLine line = new RecordingLine();
    private final RecordingEvents events = new RecordingEvents();
    private final I8042 controller = new I8042(line, events);

    private int status() {
        return controller.readByte(COMMAND_OFFSET);
    }

    private void command(int value) {
        controller.writeByte(COMMAND_OFFSET, value);
    }

    private void data(int value) {
        controller.writeByte(DATA_OFFSET, value);
    }

    private int ask(int value) {
        command(value);
        assertThat(status() & I8042_STR_OBF).isNotZero();
        return controller.readByte(DATA_OFFSET);
    }

    /** Reads as Linux's handler does: a byte for each edge. */
    private List<Integer> bytesByEdges() {
        List<Integer> bytes = new ArrayList<>();
        for (int edges = line.takeEdges(); edges > 0; edges = line.takeEdges()) {
            assertThat(edges).isEqualTo(1);
            assertThat(status() & I8042_STR_OBF).isNotZero();
            bytes.add(controller.readByte(DATA_OFFSET));
        }
        assertThat(status() & I8042_STR_OBF).isZero();
        return bytes;
    }

    private void bindKeyboard(boolean translate) {
        int ctr = ask(I8042_CMD_CTL_RCTR) & ~I8042_CTR_KBDDIS & ~I8042_CTR_XLATE;
        command(I8042_CMD_CTL_WCTR);
        data(ctr | I8042_CTR_KBDINT | (translate ? I8042_CTR_XLATE : 0));
        data(0xf4);
        assertThat(bytesByEdges()).containsExactly(0xfa);
    }

    @Test
    void linux_finds_a_controller_and_no_mouse_without_a_time_out() {
        assertThat(status() & I8042_STR_OBF).as("flush").isZero();
        assertThat(status() & I8042_STR_KEYLOCK).as("not locked").isNotZero();
        int ctr = ask(I8042_CMD_CTL_RCTR);
        assertThat(ask(I8042_CMD_CTL_RCTR)).isEqualTo(ctr);
        assertThat(ctr & I8042_CTR_XLATE).isNotZero();
        command(I8042_CMD_CTL_WCTR);
        data((ctr | I8042_CTR_KBDDIS) & ~I8042_CTR_KBDINT);

        command(I8042_CMD_AUX_LOOP);
        data(0x5a);
        int str = status();
        assertThat(str & I8042_STR_OBF).as("answered").isNotZero();
        assertThat(str & 0x20).as("but not by the auxiliary port").isZero();
        assertThat(ask(I8042_CMD_AUX_TEST)).as("no device").isEqualTo(0x01);
        assertThat(status() & I8042_STR_OBF).as("nothing left over").isZero();
        assertThat(ask(I8042_CMD_CTL_TEST)).isEqualTo(I8042_RET_CTL_TEST);
        assertThat(ask(I8042_CMD_KBD_TEST)).isZero();
        command(I8042_CMD_AUX_DISABLE);
        command(I8042_CMD_AUX_ENABLE);
        assertThat(ask(I8042_CMD_CTL_RCTR) & I8042_CTR_AUXDIS).isNotZero();
        assertThat(line.takeEdges()).as("interrupt off").isZero();
    }

    @Test
    void atkbd_binds_by_interrupts() {
        bindKeyboard(true);
        data(0xf2);
        assertThat(bytesByEdges()).containsExactly(0xfa, 0xab, 0x41);
        data(0xf5);
        assertThat(bytesByEdges()).containsExactly(0xfa);
        for (int command : new int[] {0xed, 0xf3}) {
            data(command);
            assertThat(bytesByEdges()).containsExactly(0xfa);
            data(0);
            assertThat(bytesByEdges()).containsExactly(0xfa);
        }
        data(0xff);
        assertThat(bytesByEdges()).containsExactly(0xfa, 0xaa);
    }

    @Test
    void untranslated_the_keyboard_tells_its_own_id_and_scan_code_set() {
        bindKeyboard(false);
        data(0xf2);
        assertThat(bytesByEdges()).containsExactly(0xfa, 0xab, 0x83);
        data(0xf0);
        data(0);
        assertThat(bytesByEdges()).containsExactly(0xfa, 0xfa, 0x02);
        data(0xee);
        assertThat(bytesByEdges()).containsExactly(0xee);
        data(0xfe);
        assertThat(bytesByEdges()).as("resend").containsExactly(0xee);
        data(0x01);
        assertThat(bytesByEdges()).as("unknown").containsExactly(0xfe);
    }

    @Test
    void ctrl_alt_del_is_typed_in_set_1_when_translated() {
        bindKeyboard(true);
        assertThat(controller.pressCtrlAltDel()).isTrue();
        assertThat(bytesByEdges()).containsExactly(0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d);
    }

    @Test
    void ctrl_alt_del_is_typed_in_set_2_when_not_translated() {
        bindKeyboard(false);
        assertThat(controller.pressCtrlAltDel()).isTrue();
        assertThat(bytesByEdges()).containsExactly(0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14);
    }

    @Test
    void ctrl_alt_del_is_refused_when_nobody_listens_or_reads() {
        assertThat(controller.pressCtrlAltDel()).isFalse();
        bindKeyboard(true);
        assertThat(controller.pressCtrlAltDel()).isTrue();
        assertThat(controller.pressCtrlAltDel()).isTrue();
        assertThat(controller.pressCtrlAltDel()).as("16 codes unread").isFalse();
        assertThat(bytesByEdges()).hasSize(16);
    }

    @Test
    void keys_wait_while_the_keyboard_is_disabled() {
        bindKeyboard(true);
        command(I8042_CMD_KBD_DISABLE);
        controller.pressCtrlAltDel();
        assertThat(status() & I8042_STR_OBF).isZero();
        assertThat(ask(I8042_CMD_CTL_RCTR) & I8042_CTR_KBDDIS).isNotZero();
        line.takeEdges();
        command(I8042_CMD_KBD_ENABLE);
        assertThat(bytesByEdges()).hasSize(8);
    }

    @Test
    void a_pulse_on_the_reset_line_resets_the_machine_and_other_pulses_do_not() {
        command(0xff);
        command(0xf1);
        assertThat(events.seen).isEmpty();
        command(0xfe);
        assertThat(events.seen).containsExactly("reset i8042");
    }

    @Test
    void writing_a_zero_to_the_reset_line_resets_the_machine() {
        assertThat(ask(0xd0) & 1).isEqualTo(1);
        command(0xd1);
        data(0xdf);
        assertThat(events.seen).isEmpty();
        assertThat(ask(0xd0)).isEqualTo(0xdf);
        command(0xd1);
        data(0xde);
        assertThat(events.seen).containsExactly("reset i8042");
    }

    @Test
    void reading_an_empty_buffer_repeats_the_last_byte() {
        assertThat(ask(I8042_CMD_CTL_TEST)).isEqualTo(0x55);
        assertThat(controller.readByte(DATA_OFFSET)).isEqualTo(0x55);
    }

    @Test
    void restored_it_goes_on_in_the_middle_of_a_sequence() {
        bindKeyboard(true);
        controller.pressCtrlAltDel();
        controller.readByte(DATA_OFFSET);
        command(0xd1);
        I8042.State state = controller.state();
        RecordingEvents others = new RecordingEvents();
        RecordingLine otherLine = new RecordingLine();
        I8042 other = new I8042(otherLine, others);
        other.restore(state);
        assertThat(other.state()).isEqualTo(state);
        assertThat(otherLine.level()).isTrue();
        assertThat(other.readByte(DATA_OFFSET)).isEqualTo(0x38);
        other.writeByte(DATA_OFFSET, 0);
        assertThat(others.seen).containsExactly("reset i8042");
    }

    @Test
    void refuses_a_state_that_cannot_be() {
        I8042.State good = controller.state();
        assertThatIllegalArgumentException()
                .isThrownBy(
                        () -> controller.restore(new I8042.State(List.of(1), 0, -1, -1, 0, false, good.keyboard())));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> controller.restore(
                        new I8042.State(Collections.nCopies(32, 0), 0, 0x20, -1, 0, false, good.keyboard())));
    }

    @RepeatedTest(20)
    void random_accesses_keep_line_and_status_together() {
        long seed = new SplittableRandom().nextLong();
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < 5_000; i++) {
            int offset = random.nextInt(8);
            switch (random.nextInt(5)) {
                case 0, 1 -> controller.writeByte(offset, random.nextInt(256));
                case 2, 3 -> controller.readByte(offset);
                default -> controller.pressCtrlAltDel();
            }
            I8042.State state = controller.state();
            controller.restore(state);
            boolean full = (status() & I8042_STR_OBF) != 0;
            assertThat(line.level())
                    .as("seed %d, step %d", seed, i)
                    .isEqualTo(full && (state.ram().getFirst() & I8042_CTR_KBDINT) != 0);
        }
    }
}
