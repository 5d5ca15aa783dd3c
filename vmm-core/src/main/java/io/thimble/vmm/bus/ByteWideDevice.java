package io.thimble.vmm.bus;

/**
 * A device whose registers are one byte wide. As the ISA bus does for 8-bit cards, a wider access is carried out as
 * single bytes, the lowest address first. The threading rules are those of {@link BusDevice}.
 */
public interface ByteWideDevice extends BusDevice {
    /**
     * Reads one register.
     *
     * @param offset from the start of the device's range
     * @return 0..0xff
     */
    int readByte(int offset);

    /**
     * Writes one register.
     *
     * @param offset from the start of the device's range
     * @param value 0..0xff
     */
    void writeByte(int offset, int value);

    @Override
    default long read(long offset, int size) {
        long value = 0;
        for (int i = 0; i < size; i++) {
            value |= (readByte((int) offset + i) & 0xffL) << (8 * i);
        }
        return value;
    }

    @Override
    default void write(long offset, int size, long value) {
        for (int i = 0; i < size; i++) {
            writeByte((int) offset + i, (int) (value >>> (8 * i)) & 0xff);
        }
    }
}
