package io.thimble.virtio.device;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A device's configuration space (virtio 1.2, section 2.5), little endian, with the generation by which a driver notices that
 * it read in the middle of a change.
 *
 * <p>Read from any thread, without a lock; changed by one thread at a time. A change is seen as a whole: the bytes are
 * replaced, with the generation counted up before and after.
 */
public final class ConfigSpace {
    private static final VarHandle SHORT = MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private volatile byte[] bytes;
    private volatile int generation;

    private ConfigSpace(byte[] bytes) {
        this.bytes = bytes;
    }

    /**
     * Makes a space of zeros.
     *
     * @param size in bytes; 0 for a device type that has none
     */
    public ConfigSpace(int size) {
        this(new byte[size]);
    }

    /** Returns the size in bytes. */
    public int size() {
        return bytes.length;
    }

    /** Returns the generation; only whether it is the same as before means anything. */
    public int generation() {
        return generation;
    }

    /**
     * Reads for the driver. What lies behind the end reads 0.
     *
     * @param size 1, 2 or 4 bytes
     * @return the value, zero-extended
     */
    public int read(int offset, int size) {
        byte[] now = bytes;
        int value = 0;
        for (int i = 0; i < size; i++) {
            int at = offset + i;
            if (at >= 0 && at < now.length) {
                value |= (now[at] & 0xff) << (8 * i);
            }
        }
        return value;
    }

    /** Returns all bytes. */
    public byte[] toBytes() {
        return bytes.clone();
    }

    /** Replaces all bytes, as many as there are. */
    public void restore(byte[] replacement) {
        if (replacement.length != bytes.length) {
            throw new IllegalArgumentException(
                    "a configuration space of " + replacement.length + " bytes, not " + bytes.length);
        }
        replace(replacement.clone());
    }

    /** Sets 1 byte. */
    public void setByte(int offset, int value) {
        byte[] changed = copy();
        changed[offset] = (byte) value;
        replace(changed);
    }

    /** Sets 2 bytes. */
    public void setShort(int offset, int value) {
        byte[] changed = copy();
        SHORT.set(changed, offset, (short) value);
        replace(changed);
    }

    /** Sets 4 bytes. */
    public void setInt(int offset, int value) {
        byte[] changed = copy();
        INT.set(changed, offset, value);
        replace(changed);
    }

    /** Sets 8 bytes. */
    public void setLong(int offset, long value) {
        byte[] changed = copy();
        LONG.set(changed, offset, value);
        replace(changed);
    }

    /** Sets as many bytes as {@code value} has. */
    public void setBytes(int offset, byte[] value) {
        byte[] changed = copy();
        System.arraycopy(value, 0, changed, offset, value.length);
        replace(changed);
    }

    private byte[] copy() {
        return Arrays.copyOf(bytes, bytes.length);
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // one thread at a time changes it
    private void replace(byte[] changed) {
        generation++;
        bytes = changed;
        generation++;
    }
}
