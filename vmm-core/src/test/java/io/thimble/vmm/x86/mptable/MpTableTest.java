package io.thimble.vmm.x86.mptable;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.thimble.memory.GuestMemory;
import io.thimble.vmm.boot.TestMemory;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MpTableTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 254})
    void can_be_read_back_entry_by_entry(int cpus) {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            long end = MpTable.write(memory, cpus);
            assertThat(TestMemory.text(memory, 0x10, 4)).isEqualTo("_MP_");
            assertThat(TestMemory.checksum(memory, 0x10, 16)).isZero();
            assertThat(memory.getByte(0x10 + 8)).as("length in paragraphs").isEqualTo((byte) 1);
            assertThat(memory.getByte(0x10 + 9)).as("revision").isEqualTo((byte) 4);
            assertThat(memory.getByte(0x10 + 11)).as("no default configuration").isZero();
            long table = memory.getInt(0x10 + 4);
            int length = memory.getShort(table + 4) & 0xffff;
            assertThat(TestMemory.text(memory, table, 4)).isEqualTo("PCMP");
            assertThat(TestMemory.checksum(memory, table, length)).isZero();
            assertThat(memory.getInt(table + 36)).isEqualTo(0xfee00000);
            assertThat(end).isEqualTo(table + length).isLessThanOrEqualTo(0x100000);

            int processors = 0;
            List<String> others = new ArrayList<>();
            long at = table + 44;
            for (int i = 0; i < (memory.getShort(table + 34) & 0xffff); i++) {
                if (memory.getByte(at) == 0) {
                    assertThat(memory.getByte(at + 1)).isEqualTo((byte) processors);
                    assertThat(memory.getByte(at + 3)).isEqualTo((byte) (processors == 0 ? 3 : 1));
                    processors++;
                    at += 20;
                } else {
                    others.add(java.util.HexFormat.of().formatHex(TestMemory.bytes(memory, at, 8)));
                    at += 8;
                }
            }
            assertThat(at).isEqualTo(end);
            assertThat(processors).isEqualTo(cpus);
            String ioapic = String.format("%02x", cpus);
            assertThat(others).hasSize(2 + 23 + 2);
            assertThat(others.subList(0, 2)).containsExactly("0100495341202020", "02" + ioapic + "11010000c0fe");
            assertThat(others)
                    .contains("030000000001" + ioapic + "01")
                    .contains("030000000000" + ioapic + "02")
                    .contains("030000000004" + ioapic + "04")
                    .contains("03000d000009" + ioapic + "09")
                    .contains("030000000017" + ioapic + "17");
            assertThat(others.subList(25, 27)).containsExactly("0403000000000000", "040100000000ff01");
        }
    }

    @Test
    void rejects_a_number_of_cpus_out_of_range() {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            assertThatIllegalArgumentException().isThrownBy(() -> MpTable.write(memory, 0));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> MpTable.write(memory, 255))
                    .withMessageContaining("255");
        }
    }
}
