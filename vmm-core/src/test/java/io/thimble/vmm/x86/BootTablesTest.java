package io.thimble.vmm.x86;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.memory.GuestMemory;
import io.thimble.vmm.boot.BootLayout;
import io.thimble.vmm.boot.EntryMode;
import io.thimble.vmm.boot.TestMemory;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

class BootTablesTest {
    @Test
    void page_tables_map_every_2_mib_page_of_the_first_4_gib_to_itself() {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            BootState.writeTables(memory, EntryMode.LONG_64);
            for (long address = 0; address < 1L << 32; address += 2 << 20) {
                assertThat(translate(memory, address + 0x12345)).isEqualTo(address + 0x12345);
            }
        }
    }

    /** Walks the tables as the processor does (Intel SDM volume 3, 4.5). */
    private static long translate(GuestMemory memory, long linear) {
        long table = BootLayout.PML4_ADDRESS;
        for (int level = 4; ; level--) {
            int shift = 12 + 9 * (level - 1);
            long entry = memory.getLong(table + 8 * (linear >>> shift & 0x1ff));
            assertThat(entry & 3).as("present and writable").isEqualTo(3);
            if ((entry & 0x80) != 0) {
                assertThat(level).as("the level of 2 MiB pages").isEqualTo(2);
                long offset = (1L << shift) - 1;
                return (entry & ~offset) | (linear & offset);
            }
            table = entry & -4096L;
        }
    }

    @Test
    void segments_stand_where_linux_expects_boot_cs_and_boot_ds() {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            BootState.writeTables(memory, EntryMode.LONG_64);
            assertThat(memory.getLong(BootLayout.GDT_ADDRESS)).isZero();
            long code = memory.getLong(BootLayout.GDT_ADDRESS + 0x10);
            long data = memory.getLong(BootLayout.GDT_ADDRESS + 0x18);
            assertThat(code >>> 53 & 1).as("64-bit code").isEqualTo(1);
            assertThat(code >>> 40 & 0xff).as("present, code, readable").isEqualTo(0x9b);
            assertThat(data >>> 40 & 0xff).as("present, data, writable").isEqualTo(0x93);
        }
    }

    @Test
    void protected_mode_gets_32_bit_code_and_no_page_tables() {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            BootState.writeTables(memory, EntryMode.PVH_32);
            long code = memory.getLong(BootLayout.GDT_ADDRESS + 0x10);
            assertThat(code >>> 53 & 3).as("D set, L clear").isEqualTo(2);
            assertThat(memory.getLong(BootLayout.PML4_ADDRESS)).isZero();
        }
    }

    @Test
    void real_mode_memory_is_left_to_the_program() {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            memory.dirtyBitmap().enable();
            BootState.writeTables(memory, EntryMode.REAL_16);
            assertThat(memory.dirtyBitmap().dirtyPages()).isZero();
        }
    }
}
