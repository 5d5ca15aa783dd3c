package io.thimble.vmm.legacy;

import io.thimble.vmm.bus.ByteWideDevice;
import io.thimble.vmm.bus.Stateful;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;

/**
 * The clock of an MC146818 with its 128 bytes of CMOS memory, at ports 0x70 (index) and 0x71 (data). Register names as
 * in Linux's {@code include/linux/mc146818rtc.h}.
 *
 * <p>The time is the host's in UTC, plus what the guest has set it off by. An update takes no time, so "update in
 * progress" is never seen; after a read of register A the time stands still for the 244 microseconds that the
 * datasheet promises, so that a guest that checks A first reads no half-updated time. Alarms and the periodic
 * interrupt do not occur: their registers are memory, register C reads 0.
 *
 * <p>Registers may be used by any vCPU thread; all state is under one short lock. The index is one for all vCPUs, as
 * on the chip.
 */
public final class CmosRtc implements ByteWideDevice, Stateful<CmosRtc.State> {
    /** Port of the index register; the data register follows. */
    public static final int RTC_PORT = 0x70;
    /** Ports, in bytes. */
    public static final int LENGTH = 2;
    /** Where the century stands, as the FADT is to say. */
    public static final int RTC_CENTURY = 0x32;

    static final int RTC_SECONDS = 0;
    static final int RTC_MINUTES = 2;
    static final int RTC_HOURS = 4;
    static final int RTC_DAY_OF_WEEK = 6;
    static final int RTC_DAY_OF_MONTH = 7;
    static final int RTC_MONTH = 8;
    static final int RTC_YEAR = 9;
    static final int RTC_REG_A = 0x0a;
    static final int RTC_REG_B = 0x0b;
    static final int RTC_REG_C = 0x0c;
    static final int RTC_REG_D = 0x0d;

    static final int RTC_UIP = 0x80;
    static final int RTC_SET = 0x80;
    static final int RTC_DM_BINARY = 0x04;
    static final int RTC_24H = 0x02;
    static final int RTC_VRT = 0x80;
    /** Divider for a 32.768 kHz crystal, periodic rate 1024 Hz: what firmware leaves in register A. */
    static final int RTC_REF_CLCK_32KHZ_RATE_1024 = 0x26;

    private static final int PM = 0x80;
    private static final int SIZE = 128;
    private static final int INDEX_MASK = 0x7f;
    private static final Duration STABLE_AFTER_A = Duration.ofNanos(244_000);
    private static final int EQUIPMENT_FPU = 0x02;
    private static final long KIB = 1024;
    private static final long MIB = 1024 * KIB;
    private static final long BLOCK = 64 * KIB;

    private final Object lock = new Object();
    private final InstantSource clock;
    private final byte[] cmos = new byte[SIZE];
    private int index;
    /** Guest time less host time. */
    private Duration offset = Duration.ZERO;
    /** When A was read last, by the host's clock. */
    private Instant steadySince = Instant.MIN;

    /**
     * Makes a clock that shows the host's time, in BCD and 24 hours.
     *
     * @param clock the host's time
     * @param memoryBelow4G bytes of RAM from address 0 to the PCI hole
     * @param memoryAbove4G bytes of RAM from 4 GiB
     */
    public CmosRtc(InstantSource clock, long memoryBelow4G, long memoryAbove4G) {
        this.clock = clock;
        cmos[RTC_REG_A] = RTC_REF_CLCK_32KHZ_RATE_1024;
        cmos[RTC_REG_B] = RTC_24H;
        cmos[RTC_REG_D] = (byte) RTC_VRT;
        cmos[0x14] = EQUIPMENT_FPU;
        store(0x15, 2, Math.min(memoryBelow4G / KIB, 640));
        long extended = Math.clamp((memoryBelow4G - MIB) / KIB, 0, 0xffff);
        store(0x17, 2, extended);
        store(0x30, 2, extended);
        store(0x34, 2, Math.clamp((memoryBelow4G - 16 * MIB) / BLOCK, 0, 0xffff));
        store(0x5b, 3, Math.min(memoryAbove4G / BLOCK, 0xff_ffff));
    }

    private void store(int register, int bytes, long value) {
        for (int i = 0; i < bytes; i++) {
            cmos[register + i] = (byte) (value >>> (8 * i));
        }
    }

    @Override
    public int readByte(int offset) {
        if (offset != 1) {
            return 0xff;
        }
        synchronized (lock) {
            if (index == RTC_REG_A) {
                steadySince = clock.instant();
            } else if (isTime(index) && !frozen()) {
                latch();
            }
            return cmos[index] & 0xff;
        }
    }

    @Override
    public void writeByte(int offset, int value) {
        synchronized (lock) {
            if (offset == 0) {
                // Bit 7 masks the NMI, of which there is none.
                index = value & INDEX_MASK;
            } else if (isTime(index)) {
                if (!frozen()) {
                    latch();
                }
                cmos[index] = (byte) value;
                if (!frozen()) {
                    adopt();
                }
            } else {
                writeRegister(value);
            }
        }
    }

    private void writeRegister(int value) {
        switch (index) {
            case RTC_REG_A -> cmos[index] = (byte) (value & ~RTC_UIP);
            case RTC_REG_B -> {
                boolean wasFrozen = frozen();
                if (!wasFrozen && (value & RTC_SET) != 0) {
                    latch();
                }
                if (wasFrozen && (value & RTC_SET) == 0) {
                    adopt();
                }
                cmos[index] = (byte) value;
            }
            case RTC_REG_C, RTC_REG_D -> {
                // Read-only.
            }
            default -> cmos[index] = (byte) value;
        }
    }

    private static boolean isTime(int register) {
        return switch (register) {
            case RTC_SECONDS,
                    RTC_MINUTES,
                    RTC_HOURS,
                    RTC_DAY_OF_WEEK,
                    RTC_DAY_OF_MONTH,
                    RTC_MONTH,
                    RTC_YEAR,
                    RTC_CENTURY -> true;
            default -> false;
        };
    }

    /** Whether the guest is setting the clock. */
    private boolean frozen() {
        return (cmos[RTC_REG_B] & RTC_SET) != 0;
    }

    /** Puts the current time into the registers. */
    private void latch() {
        Instant now = clock.instant();
        if (!now.isBefore(steadySince) && now.isBefore(steadySince.plus(STABLE_AFTER_A))) {
            now = steadySince;
        }
        LocalDateTime time = LocalDateTime.ofInstant(now.plus(offset), ZoneOffset.UTC);
        cmos[RTC_SECONDS] = encode(time.getSecond());
        cmos[RTC_MINUTES] = encode(time.getMinute());
        cmos[RTC_HOURS] = encodeHour(time.getHour());
        cmos[RTC_DAY_OF_WEEK] = encode(time.getDayOfWeek().getValue() % 7 + 1);
        cmos[RTC_DAY_OF_MONTH] = encode(time.getDayOfMonth());
        cmos[RTC_MONTH] = encode(time.getMonthValue());
        cmos[RTC_YEAR] = encode(time.getYear() % 100);
        cmos[RTC_CENTURY] = encode(time.getYear() / 100 % 100);
    }

    /** Takes the registers as the time from now on; a date that does not exist leaves the clock as it was. */
    private void adopt() {
        try {
            LocalDateTime time = LocalDateTime.of(
                    decode(cmos[RTC_CENTURY]) * 100 + decode(cmos[RTC_YEAR]),
                    decode(cmos[RTC_MONTH]),
                    decode(cmos[RTC_DAY_OF_MONTH]),
                    decodeHour(),
                    decode(cmos[RTC_MINUTES]),
                    decode(cmos[RTC_SECONDS]));
            offset = Duration.between(clock.instant(), time.toInstant(ZoneOffset.UTC));
        } catch (DateTimeException noSuchDate) {
            // The registers show the old time again at the next read.
        }
    }

    private boolean binary() {
        return (cmos[RTC_REG_B] & RTC_DM_BINARY) != 0;
    }

    private byte encode(int value) {
        return (byte) (binary() ? value : ((value / 10) << 4) | (value % 10));
    }

    private int decode(int register) {
        int value = register & 0xff;
        return binary() ? value : (value >> 4) * 10 + (value & 0xf);
    }

    private byte encodeHour(int hour) {
        if ((cmos[RTC_REG_B] & RTC_24H) != 0) {
            return encode(hour);
        }
        int twelve = hour % 12 == 0 ? 12 : hour % 12;
        return (byte) (encode(twelve) | (hour >= 12 ? PM : 0));
    }

    private int decodeHour() {
        int hour = cmos[RTC_HOURS];
        if ((cmos[RTC_REG_B] & RTC_24H) != 0) {
            return decode(hour);
        }
        return decode(hour & ~PM) % 12 + ((hour & PM) != 0 ? 12 : 0);
    }

    @Override
    public State state() {
        synchronized (lock) {
            List<Integer> bytes = new ArrayList<>(SIZE);
            for (byte value : cmos) {
                bytes.add(value & 0xff);
            }
            return new State(bytes, index, offset);
        }
    }

    @Override
    public void restore(State state) {
        if (state.cmos.size() != SIZE) {
            throw new IllegalArgumentException("CMOS: " + state.cmos.size() + " bytes, not " + SIZE);
        }
        synchronized (lock) {
            for (int i = 0; i < SIZE; i++) {
                cmos[i] = (byte) (int) state.cmos.get(i);
            }
            index = state.index & INDEX_MASK;
            offset = state.offset;
            steadySince = Instant.MIN;
        }
    }

    /**
     * What the guest can see of the clock. Restored, it shows the host's time then, not the time of the snapshot.
     *
     * @param cmos the 128 bytes
     * @param index the register that the data port shows
     * @param offset guest time less host time
     */
    public record State(List<Integer> cmos, int index, Duration offset) {
        /** Copies the list. */
        public State {
            cmos = List.copyOf(cmos);
        }
    }
}
