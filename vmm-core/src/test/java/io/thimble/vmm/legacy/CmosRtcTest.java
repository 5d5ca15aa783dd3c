package io.thimble.vmm.legacy;

import static io.thimble.vmm.legacy.CmosRtc.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import java.time.Instant;
import java.util.Collections;
import java.util.SplittableRandom;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class CmosRtcTest {
    private static final long MIB = 1 << 20;

    private Instant now = Instant.parse("2026-11-23T17:05:59.5Z");
    private final CmosRtc rtc = new CmosRtc(() -> now, 256 * MIB, 0);

    private int read(int register) {
        rtc.writeByte(0, register);
        return rtc.readByte(1);
    }

    private void write(int register, int value) {
        rtc.writeByte(0, register);
        rtc.writeByte(1, value);
    }

    private String time() {
        return "%02x%02x-%02x-%02x %02x:%02x:%02x day %x"
                .formatted(
                        read(RTC_CENTURY),
                        read(RTC_YEAR),
                        read(RTC_MONTH),
                        read(RTC_DAY_OF_MONTH),
                        read(RTC_HOURS),
                        read(RTC_MINUTES),
                        read(RTC_SECONDS),
                        read(RTC_DAY_OF_WEEK));
    }

    @Test
    void shows_the_hosts_time_in_bcd_and_24_hours() {
        assertThat(read(RTC_REG_B)).isEqualTo(RTC_24H);
        assertThat(time()).isEqualTo("2026-11-23 17:05:59 day 2");
        now = now.plusSeconds(1);
        assertThat(time()).isEqualTo("2026-11-23 17:06:00 day 2");
    }

    @Test
    void shows_binary_and_12_hours_as_register_b_says() {
        write(RTC_REG_B, RTC_24H | RTC_DM_BINARY);
        assertThat(read(RTC_SECONDS)).isEqualTo(59);
        assertThat(read(RTC_YEAR)).isEqualTo(26);
        assertThat(read(RTC_CENTURY)).isEqualTo(20);
        write(RTC_REG_B, RTC_DM_BINARY);
        assertThat(read(RTC_HOURS)).isEqualTo(0x80 | 5);
        write(RTC_REG_B, 0);
        now = Instant.parse("2026-11-23T12:00:00Z");
        assertThat(read(RTC_HOURS)).isEqualTo(0x92);
        now = Instant.parse("2026-11-23T00:00:00Z");
        assertThat(read(RTC_HOURS)).isEqualTo(0x12);
    }

    @Test
    void register_a_never_tells_an_update_and_d_tells_a_good_battery() {
        assertThat(read(RTC_REG_A)).isEqualTo(0x26);
        write(RTC_REG_A, 0xff);
        assertThat(read(RTC_REG_A) & RTC_UIP).isZero();
        assertThat(read(RTC_REG_C)).isZero();
        write(RTC_REG_D, 0);
        assertThat(read(RTC_REG_D)).isEqualTo(RTC_VRT);
    }

    @Test
    void after_register_a_was_read_the_time_stands_still_for_244_microseconds() {
        now = Instant.parse("2026-11-23T17:59:59.999900Z");
        read(RTC_REG_A);
        now = now.plusNanos(200_000);
        assertThat(time()).isEqualTo("2026-11-23 17:59:59 day 2");
        now = now.plusNanos(44_000);
        assertThat(time()).isEqualTo("2026-11-23 18:00:00 day 2");
    }

    @Test
    void a_guest_sets_the_clock_as_linux_does() {
        write(RTC_REG_B, RTC_24H | RTC_SET);
        write(RTC_YEAR, 0x30);
        write(RTC_MONTH, 0x01);
        write(RTC_DAY_OF_MONTH, 0x02);
        write(RTC_HOURS, 0x03);
        write(RTC_MINUTES, 0x04);
        write(RTC_SECONDS, 0x05);
        now = now.plusSeconds(100);
        assertThat(read(RTC_SECONDS)).as("frozen").isEqualTo(0x05);
        write(RTC_REG_B, RTC_24H);
        assertThat(time()).isEqualTo("2030-01-02 03:04:05 day 4");
        now = now.plus(Duration.ofDays(1));
        assertThat(time()).isEqualTo("2030-01-03 03:04:05 day 5");
    }

    @Test
    void a_guest_sets_one_register_while_the_clock_runs() {
        write(RTC_HOURS, 0x08);
        assertThat(time()).isEqualTo("2026-11-23 08:05:59 day 2");
    }

    @Test
    void a_date_that_does_not_exist_leaves_the_clock_as_it_was() {
        write(RTC_MONTH, 0x77);
        write(RTC_DAY_OF_MONTH, 0x31);
        assertThat(time()).isEqualTo("2026-11-23 17:05:59 day 2");
    }

    @Test
    void afternoon_hours_can_be_set_in_12_hour_mode() {
        write(RTC_REG_B, RTC_SET);
        write(RTC_HOURS, 0x92);
        write(RTC_REG_B, 0);
        write(RTC_REG_B, RTC_24H);
        assertThat(read(RTC_HOURS)).isEqualTo(0x12);
    }

    @Test
    void the_index_is_write_only_and_bit_7_is_the_nmi_mask() {
        assertThat(rtc.readByte(0)).isEqualTo(0xff);
        assertThat(read(0x80 | RTC_REG_A)).isEqualTo(0x26);
    }

    @Test
    void memory_size_stands_where_firmware_looks() {
        assertThat(word(0x15)).isEqualTo(640);
        assertThat(word(0x17)).isEqualTo(0xffff);
        assertThat(word(0x34)).isEqualTo(240 * 16);
        CmosRtc large = new CmosRtc(() -> now, 3072 * MIB, 2048 * MIB);
        large.writeByte(0, 0x35);
        assertThat(large.readByte(1)).isEqualTo(((3072 - 16) * 16) >> 8);
        large.writeByte(0, 0x5c);
        assertThat(large.readByte(1)).isEqualTo((2048 * 16) >> 8);
        CmosRtc tiny = new CmosRtc(() -> now, MIB / 2, 0);
        tiny.writeByte(0, 0x16);
        assertThat(tiny.readByte(1)).isEqualTo(512 >> 8);
        tiny.writeByte(0, 0x30);
        assertThat(tiny.readByte(1)).isZero();
    }

    private int word(int register) {
        return read(register) | (read(register + 1) << 8);
    }

    @Test
    void the_rest_is_memory() {
        write(0x0f, 0x5a);
        write(0x7f, 0xa5);
        assertThat(read(0x0f)).isEqualTo(0x5a);
        assertThat(read(0x7f)).isEqualTo(0xa5);
    }

    @Test
    void restored_it_keeps_memory_and_offset() {
        write(0x40, 0x77);
        write(RTC_HOURS, 0x08);
        CmosRtc other = new CmosRtc(() -> now, 16 * MIB, 0);
        other.restore(rtc.state());
        assertThat(other.state()).isEqualTo(rtc.state());
        other.writeByte(0, RTC_HOURS);
        assertThat(other.readByte(1)).isEqualTo(0x08);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> rtc.restore(new CmosRtc.State(Collections.nCopies(127, 0), 0, Duration.ZERO)));
    }

    @RepeatedTest(20)
    void random_accesses_throw_nothing_and_bytes_stay_bytes() {
        long seed = new SplittableRandom().nextLong();
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < 5_000; i++) {
            if (random.nextBoolean()) {
                write(random.nextInt(16) + (random.nextBoolean() ? 0 : 0x28), random.nextInt(256));
            }
            int value = read(random.nextInt(256));
            assertThat(value).as("seed %d, step %d", seed, i).isBetween(0, 0xff);
            assertThat(read(RTC_REG_A) & RTC_UIP).isZero();
            now = now.plusMillis(random.nextInt(2000));
        }
    }
}
