package io.thimble.vmm.bus;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Finds the device that answers for an address: one bus for the 65,536 I/O ports, one for memory-mapped I/O.
 *
 * <p>The table of ranges never changes after {@link Builder#build()}, so any number of vCPU threads may read and write
 * at once: a lookup takes no lock and allocates nothing.
 *
 * <p>An access belongs to a device only if all its bytes lie in one of the device's ranges and its size is 1, 2, 4 or
 * 8. Anything else - an address nobody claims, an access that straddles a range's end, the 3-byte fragment of an access
 * that crosses a page - reaches nothing: reads float high (all ones), writes are lost, and both are counted.
 */
public final class Bus {
    /** The number of x86 I/O ports. */
    public static final long PIO_PORTS = 0x1_0000;

    private final String name;
    private final Range[] ranges;
    private final AtomicLong unclaimedReads = new AtomicLong();
    private final AtomicLong unclaimedWrites = new AtomicLong();

    /** The range found last. Raced over by the vCPU threads without harm: every value it can have is a valid guess. */
    private Range lastHit = Range.NOTHING;

    private Bus(String name, Range[] ranges) {
        this.name = name;
        this.ranges = ranges;
    }

    /** Starts the bus of the I/O ports: addresses 0..0xffff. */
    public static Builder pio() {
        return new Builder("PIO", PIO_PORTS - 1);
    }

    /** Starts the bus of memory-mapped I/O: guest-physical addresses 0..2^63-1. */
    public static Builder mmio() {
        return new Builder("MMIO", Long.MAX_VALUE);
    }

    /**
     * Reads from the device at an address.
     *
     * @param address port number or guest-physical address
     * @param size in bytes
     * @return the value, zero-extended; all ones of that size if no device answers
     */
    public long read(long address, int size) {
        Range range = find(address, size);
        if (range == Range.NOTHING) {
            unclaimedReads.getAndIncrement();
            return mask(size);
        }
        return range.device.read(range.offset(address), size) & mask(size);
    }

    /**
     * Writes to the device at an address.
     *
     * @param address port number or guest-physical address
     * @param size in bytes
     * @param value bits above the size are ignored
     */
    public void write(long address, int size, long value) {
        Range range = find(address, size);
        if (range == Range.NOTHING) {
            unclaimedWrites.getAndIncrement();
            return;
        }
        range.device.write(range.offset(address), size, value & mask(size));
    }

    /** Returns how many reads reached no device so far. */
    public long unclaimedReads() {
        return unclaimedReads.get();
    }

    /** Returns how many writes reached no device so far. */
    public long unclaimedWrites() {
        return unclaimedWrites.get();
    }

    private Range find(long address, int size) {
        if (size != 1 && size != 2 && size != 4 && size != 8) {
            return Range.NOTHING;
        }
        Range guess = lastHit;
        if (guess.contains(address, size)) {
            return guess;
        }
        int low = 0;
        int high = ranges.length - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            Range range = ranges[middle];
            if (address < range.base) {
                high = middle - 1;
            } else if (address > range.last) {
                low = middle + 1;
            } else if (range.contains(address, size)) {
                lastHit = range;
                return range;
            } else {
                return Range.NOTHING;
            }
        }
        return Range.NOTHING;
    }

    private static long mask(int size) {
        return size >= Long.BYTES ? -1L : (1L << (8 * size)) - 1;
    }

    /** Lists the ranges and their devices' names, for reports. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(name).append(" bus:");
        for (Range range : ranges) {
            text.append(' ').append(range);
        }
        return text.toString();
    }

    /** One claimed range; fields are final so that a racy {@link #lastHit} is safely published. */
    private static final class Range {
        static final Range NOTHING = new Range("nothing", 1, 0, 0, new BusDevice() {
            @Override
            public long read(long offset, int size) {
                return mask(size);
            }

            @Override
            public void write(long offset, int size, long value) {}
        });

        final String name;
        final long base;
        final long last;
        final long firstOffset;
        final BusDevice device;

        Range(String name, long base, long last, long firstOffset, BusDevice device) {
            this.name = name;
            this.base = base;
            this.last = last;
            this.firstOffset = firstOffset;
            this.device = device;
        }

        boolean contains(long address, int size) {
            return address >= base && address <= last && size - 1 <= last - address;
        }

        long offset(long address) {
            return address - base + firstOffset;
        }

        @Override
        public String toString() {
            return name + " [0x" + Long.toHexString(base) + "..0x" + Long.toHexString(last) + "]";
        }
    }

    /** Collects the ranges of a bus. For one thread. */
    public static final class Builder {
        private final String busName;
        private final long lastAddress;
        private final List<Range> ranges = new ArrayList<>();

        private Builder(String busName, long lastAddress) {
            this.busName = busName;
            this.lastAddress = lastAddress;
        }

        /**
         * Claims a range for a device that sees offset 0 at its start.
         *
         * @param name for messages, for example {@code ttyS0}
         * @param base first address
         * @param length in bytes, at least 1
         * @return this
         * @throws IllegalArgumentException if the range leaves the bus or overlaps one claimed before; both names are
         *     in the message
         */
        public Builder add(String name, long base, long length, BusDevice device) {
            return add(name, base, length, device, 0);
        }

        /**
         * Claims a range for a device with several: the i8042 has its data port at 0x60 and its command port at 0x64.
         *
         * @param name for messages, for example {@code ttyS0}
         * @param base first address
         * @param length in bytes, at least 1
         * @param firstOffset what the device sees as offset at the start of this range
         * @return this
         * @throws IllegalArgumentException if the range leaves the bus or overlaps one claimed before; both names are
         *     in the message
         */
        public Builder add(String name, long base, long length, BusDevice device, long firstOffset) {
            if (base < 0 || length <= 0 || base > lastAddress || length - 1 > lastAddress - base) {
                throw new IllegalArgumentException(busName + ": " + name + " at 0x" + Long.toHexString(base) + " with "
                        + length + " bytes does not fit in 0..0x" + Long.toHexString(lastAddress));
            }
            Range added = new Range(name, base, base + length - 1, firstOffset, device);
            for (Range other : ranges) {
                if (added.base <= other.last && other.base <= added.last) {
                    throw new IllegalArgumentException(busName + ": " + added + " overlaps " + other);
                }
            }
            ranges.add(added);
            return this;
        }

        /** Returns the bus with what was added so far. */
        public Bus build() {
            return new Bus(
                    busName,
                    ranges.stream()
                            .sorted(Comparator.comparingLong(range -> range.base))
                            .toArray(Range[]::new));
        }
    }
}
