package io.thimble.virtio.net;

import java.util.HexFormat;
import java.util.SplittableRandom;
import java.util.regex.Pattern;

/**
 * An Ethernet address.
 *
 * @param value the six bytes as a number, the first byte highest: 0 to 2^48 - 1
 */
public record MacAddress(long value) {
    /** How many bytes an address has. */
    public static final int BYTES = 6;

    /** The address of all stations. */
    public static final MacAddress BROADCAST = new MacAddress(0xffff_ffff_ffffL);

    private static final Pattern TEXT = Pattern.compile("([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}");
    private static final long GROUP_BIT = 1L << 40;
    private static final long LOCAL_BIT = 1L << 41;
    private static final long MASK = (1L << 48) - 1;

    /** Refuses more than 48 bits. */
    public MacAddress {
        if ((value & ~MASK) != 0) {
            throw new IllegalArgumentException("an Ethernet address has 48 bits: 0x" + Long.toHexString(value));
        }
    }

    /**
     * Reads six hexadecimal bytes with colons or dashes between them.
     *
     * @throws IllegalArgumentException if it is something else
     */
    public static MacAddress parse(String text) {
        if (!TEXT.matcher(text).matches()) {
            throw new IllegalArgumentException("Ethernet address \"" + text.replaceAll("\\p{Cntrl}", "?")
                    + "\": write six bytes as in 02:00:00:12:34:56");
        }
        return new MacAddress(HexFormat.fromHexDigitsToLong(text.replaceAll("[:-]", "")));
    }

    /** Returns a locally administered unicast address by chance. */
    public static MacAddress random() {
        return new MacAddress((new SplittableRandom().nextLong() & MASK & ~GROUP_BIT) | LOCAL_BIT);
    }

    /** Tells whether one station has this address: neither a group's nor zero. */
    public boolean isUnicast() {
        return (value & GROUP_BIT) == 0 && value != 0;
    }

    /** Returns the six bytes in the order of transmission. */
    public byte[] toBytes() {
        byte[] bytes = new byte[BYTES];
        for (int i = 0; i < BYTES; i++) {
            bytes[i] = (byte) (value >>> (8 * (BYTES - 1 - i)));
        }
        return bytes;
    }

    /** Returns the address in six bytes from {@code offset} on. */
    public static MacAddress of(byte[] bytes, int offset) {
        return new MacAddress(value(bytes, offset));
    }

    /** As {@link #of}, as a number. */
    static long value(byte[] bytes, int offset) {
        long value = 0;
        for (int i = 0; i < BYTES; i++) {
            value = value << 8 | (bytes[offset + i] & 0xff);
        }
        return value;
    }

    /** Tells whether an address, as a number, is a group's. */
    static boolean isGroup(long value) {
        return (value & GROUP_BIT) != 0;
    }

    @Override
    public String toString() {
        return HexFormat.ofDelimiter(":").formatHex(toBytes());
    }
}
