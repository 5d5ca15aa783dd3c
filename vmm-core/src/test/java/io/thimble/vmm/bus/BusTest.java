package io.thimble.vmm.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class BusTest {
    private final Recorder serial = new Recorder();
    private final Recorder keyboard = new Recorder();
    private final Bus bus = Bus.pio()
            .add("ttyS0", 0x3f8, 8, serial)
            .add("i8042", 0x60, 1, keyboard)
            .add("i8042", 0x64, 1, keyboard, 4)
            .add("last", 0xffff, 1, new Recorder())
            .build();

    @Test
    void gives_the_device_the_offset_within_its_range() {
        bus.write(0x3fb, 1, 0x80);
        assertThat(serial.accesses).containsExactly("write 3 1 80");
        serial.answer = 0x12;
        assertThat(bus.read(0x3fd, 2)).isEqualTo(0x12);
        assertThat(serial.accesses).last().isEqualTo("read 5 2");
    }

    @Test
    void gives_a_second_range_of_a_device_its_own_first_offset() {
        bus.read(0x64, 1);
        bus.read(0x60, 1);
        assertThat(keyboard.accesses).containsExactly("read 4 1", "read 0 1");
    }

    @Test
    void reads_of_nothing_float_high_and_are_counted() {
        assertThat(bus.read(0x61, 1)).isEqualTo(0xff);
        assertThat(bus.read(0x200, 2)).isEqualTo(0xffff);
        assertThat(bus.read(0, 4)).isEqualTo(0xffff_ffffL);
        assertThat(bus.read(0x1_0000, 8)).isEqualTo(-1L);
        bus.write(0x80, 1, 0);
        assertThat(bus.unclaimedReads()).isEqualTo(4);
        assertThat(bus.unclaimedWrites()).isEqualTo(1);
    }

    @Test
    void an_access_that_straddles_the_end_of_a_range_reaches_nothing() {
        assertThat(bus.read(0x3ff, 2)).isEqualTo(0xffff);
        bus.write(0x3fc, 8, 1);
        assertThat(bus.read(0x3f7, 2)).isEqualTo(0xffff);
        assertThat(bus.read(0xffff, 2)).isEqualTo(0xffff);
        assertThat(serial.accesses).isEmpty();
    }

    @Test
    void an_access_of_an_odd_size_reaches_nothing() {
        for (int size : new int[] {0, 3, 5, 6, 7, 9, -1}) {
            bus.read(0x3f8, size);
            bus.write(0x3f8, size, 0);
        }
        assertThat(serial.accesses).isEmpty();
        assertThat(bus.unclaimedReads()).isEqualTo(7);
    }

    @Test
    void cuts_values_to_the_size_of_the_access() {
        serial.answer = -1;
        assertThat(bus.read(0x3f8, 1)).isEqualTo(0xff);
        assertThat(bus.read(0x3f8, 4)).isEqualTo(0xffff_ffffL);
        bus.write(0x3f8, 2, 0x1234_5678);
        assertThat(serial.accesses).last().isEqualTo("write 0 2 5678");
    }

    @Test
    void mmio_reaches_the_end_of_the_address_space() {
        Recorder top = new Recorder();
        Bus mmio = Bus.mmio().add("top", Long.MAX_VALUE - 7, 8, top).build();
        mmio.write(Long.MAX_VALUE - 7, 8, -1);
        assertThat(top.accesses).containsExactly("write 0 8 ffffffffffffffff");
        assertThat(mmio.read(Long.MAX_VALUE, 2)).isEqualTo(0xffff);
        assertThat(mmio.read(-1, 8)).isEqualTo(-1);
    }

    @Test
    void an_empty_bus_answers_for_nothing() {
        Bus empty = Bus.pio().build();
        assertThat(empty.read(0, 1)).isEqualTo(0xff);
        assertThat(empty.read(1, 1)).isEqualTo(0xff);
    }

    @Test
    void refuses_overlapping_ranges_and_names_both() {
        Bus.Builder builder = Bus.pio().add("first", 0x100, 8, serial);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.add("second", 0x107, 1, serial))
                .withMessage("PIO: second [0x107..0x107] overlaps first [0x100..0x107]");
        assertThatIllegalArgumentException().isThrownBy(() -> builder.add("around", 0xf0, 0x100, serial));
        builder.add("after", 0x108, 1, serial).add("before", 0xff, 1, serial);
        assertThat(builder.build().toString())
                .isEqualTo("PIO bus: before [0xff..0xff] first [0x100..0x107] after [0x108..0x108]");
    }

    @Test
    void refuses_ranges_that_leave_the_bus() {
        assertThatIllegalArgumentException().isThrownBy(() -> Bus.pio().add("x", 0xffff, 2, serial));
        assertThatIllegalArgumentException().isThrownBy(() -> Bus.pio().add("x", 0x1_0000, 1, serial));
        assertThatIllegalArgumentException().isThrownBy(() -> Bus.pio().add("x", -1, 1, serial));
        assertThatIllegalArgumentException().isThrownBy(() -> Bus.pio().add("x", 1, 0, serial));
        assertThatIllegalArgumentException().isThrownBy(() -> Bus.mmio().add("x", Long.MAX_VALUE, 2, serial));
    }

    @RepeatedTest(20)
    void finds_what_a_linear_search_finds() {
        long seed = new SplittableRandom().nextLong();
        SplittableRandom random = new SplittableRandom(seed);
        Bus.Builder builder = Bus.mmio();
        long[] owner = new long[4096];
        int ranges = random.nextInt(40);
        for (int id = 1; id <= ranges; id++) {
            int base = random.nextInt(owner.length - 16);
            int length = 1 + random.nextInt(16);
            boolean free = true;
            for (int i = base; i < base + length; i++) {
                free &= owner[i] == 0;
            }
            if (free) {
                java.util.Arrays.fill(owner, base, base + length, id);
                Recorder device = new Recorder();
                device.answer = id;
                builder.add("device" + id, base, length, device);
            }
        }
        Bus made = builder.build();
        for (int i = 0; i < 20_000; i++) {
            int address = random.nextInt(owner.length - 8);
            int size = 1 << random.nextInt(4);
            boolean whole = owner[address] != 0;
            for (int j = 1; j < size; j++) {
                whole &= owner[address + j] == owner[address];
            }
            long expected = whole ? owner[address] : size == 8 ? -1 : (1L << (8 * size)) - 1;
            assertThat(made.read(address, size))
                    .as("seed %d, address %d, size %d", seed, address, size)
                    .isEqualTo(expected);
        }
    }

    @Test
    void a_byte_wide_device_sees_a_wide_access_as_bytes_lowest_first() {
        List<String> accesses = new ArrayList<>();
        ByteWideDevice device = new ByteWideDevice() {
            @Override
            public int readByte(int offset) {
                return 0x10 + offset;
            }

            @Override
            public void writeByte(int offset, int value) {
                accesses.add(offset + "=" + Integer.toHexString(value));
            }
        };
        Bus made = Bus.pio().add("bytes", 0x100, 4, device).build();
        assertThat(made.read(0x100, 4)).isEqualTo(0x13121110L);
        made.write(0x101, 2, 0xa1b2);
        assertThat(accesses).containsExactly("1=b2", "2=a1");
    }

    private static final class Recorder implements BusDevice {
        final List<String> accesses = new ArrayList<>();
        long answer;

        @Override
        public long read(long offset, int size) {
            accesses.add("read " + offset + " " + size);
            return answer;
        }

        @Override
        public void write(long offset, int size, long value) {
            accesses.add("write " + offset + " " + size + " " + Long.toHexString(value));
        }
    }
}
