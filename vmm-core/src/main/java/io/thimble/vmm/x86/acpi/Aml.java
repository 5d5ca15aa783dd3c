package io.thimble.vmm.x86.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/**
 * Builds ACPI Machine Language: each method returns the encoding of one object (ACPI specification 6.5, section 20.2 for
 * the language, 6.4 for resource descriptors). Names are given as ASL writes them, every segment 4 characters long.
 */
final class Aml {
    private static final int ZERO_OP = 0x00;
    private static final int ONE_OP = 0x01;
    private static final int NAME_OP = 0x08;
    private static final int BYTE_PREFIX = 0x0a;
    private static final int WORD_PREFIX = 0x0b;
    private static final int DWORD_PREFIX = 0x0c;
    private static final int STRING_PREFIX = 0x0d;
    private static final int QWORD_PREFIX = 0x0e;
    private static final int SCOPE_OP = 0x10;
    private static final int BUFFER_OP = 0x11;
    private static final int PACKAGE_OP = 0x12;
    private static final int EXT_OP_PREFIX = 0x5b;
    private static final int DEVICE_OP = 0x82;

    private static final int MAX_PACKAGE_LENGTH = (1 << 28) - 1;

    private Aml() {}

    /** {@code Scope (name) { contents }}. */
    static byte[] scope(String name, byte[]... contents) {
        return concat(bytes(SCOPE_OP), inPackageLength(concat(nameSegment(name), concat(contents))));
    }

    /** {@code Device (name) { contents }}. */
    static byte[] device(String name, byte[]... contents) {
        return concat(bytes(EXT_OP_PREFIX, DEVICE_OP), inPackageLength(concat(nameSegment(name), concat(contents))));
    }

    /** {@code Name (name, value)}. */
    static byte[] name(String name, byte[] value) {
        return concat(bytes(NAME_OP), nameSegment(name), value);
    }

    /** An integer in its shortest encoding. */
    static byte[] integer(long value) {
        if (value == 0) {
            return bytes(ZERO_OP);
        }
        if (value == 1) {
            return bytes(ONE_OP);
        }
        if (value >>> 8 == 0) {
            return concat(bytes(BYTE_PREFIX), littleEndian(value, 1));
        }
        if (value >>> 16 == 0) {
            return concat(bytes(WORD_PREFIX), littleEndian(value, 2));
        }
        if (value >>> 32 == 0) {
            return concat(bytes(DWORD_PREFIX), littleEndian(value, 4));
        }
        return concat(bytes(QWORD_PREFIX), littleEndian(value, 8));
    }

    /** An ASCII string. */
    static byte[] string(String value) {
        return concat(bytes(STRING_PREFIX), value.getBytes(StandardCharsets.US_ASCII), bytes(0));
    }

    /** {@code EisaId (id)}: three capital letters and four hexadecimal digits packed into 32 bits (section 19.3.4). */
    static byte[] eisaId(String id) {
        if (!id.matches("[A-Z]{3}[0-9A-F]{4}")) {
            throw new IllegalArgumentException("Not an EISA id: " + id);
        }
        int vendor = 0;
        for (int i = 0; i < 3; i++) {
            vendor = vendor << 5 | (id.charAt(i) - '@');
        }
        int value = vendor << 16 | Integer.parseInt(id.substring(3), 16);
        return integer(Integer.toUnsignedLong(Integer.reverseBytes(value)));
    }

    /** {@code Package () { elements }}. */
    static byte[] packageOf(byte[]... elements) {
        return concat(bytes(PACKAGE_OP), inPackageLength(concat(bytes(elements.length), concat(elements))));
    }

    /** {@code ResourceTemplate () { descriptors }}: a buffer that ends with the end tag, whose checksum 0 is valid. */
    static byte[] resourceTemplate(byte[]... descriptors) {
        byte[] contents = concat(concat(descriptors), bytes(0x79, 0));
        return concat(bytes(BUFFER_OP), inPackageLength(concat(integer(contents.length), contents)));
    }

    /** {@code IO (Decode16, port, port, 0x01, length)}. */
    static byte[] io(int port, int length) {
        return concat(bytes(0x47, 1), littleEndian(port, 2), littleEndian(port, 2), bytes(1, length));
    }

    /** {@code IRQNoFlags () {irq}}: edge-triggered, active high, not shared. */
    static byte[] irqNoFlags(int irq) {
        return concat(bytes(0x22), littleEndian(1L << irq, 2));
    }

    /** {@code Memory32Fixed (ReadWrite, address, length)}. */
    static byte[] memory32Fixed(long address, long length) {
        return concat(bytes(0x86, 9, 0, 1), littleEndian(address, 4), littleEndian(length, 4));
    }

    /** {@code Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) {gsi}}. */
    static byte[] edgeInterrupt(int gsi) {
        return concat(bytes(0x89, 6, 0, 0b0011, 1), littleEndian(gsi, 4));
    }

    static byte[] concat(byte[]... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }

    /** Puts a PkgLength (section 20.2.4) in front, which counts its own 1 to 4 bytes too. */
    private static byte[] inPackageLength(byte[] contents) {
        if (contents.length + 1 <= 0x3f) {
            return concat(bytes(contents.length + 1), contents);
        }
        int size = 2;
        while (contents.length + size >= 1 << (4 + 8 * (size - 1))) {
            size++;
        }
        int length = contents.length + size;
        if (length > MAX_PACKAGE_LENGTH) {
            throw new IllegalArgumentException("An AML object of " + length + " bytes is too long");
        }
        return concat(bytes((size - 1) << 6 | (length & 0xf)), littleEndian(length >>> 4, size - 1), contents);
    }

    /** One segment of 4 characters, looked up from the current scope. */
    private static byte[] nameSegment(String name) {
        if (!name.matches("[A-Z_][A-Z0-9_]{3}")) {
            throw new IllegalArgumentException("Not an AML name: " + name);
        }
        return name.getBytes(StandardCharsets.US_ASCII);
    }

    private static byte[] littleEndian(long value, int size) {
        byte[] bytes = new byte[size];
        for (int i = 0; i < size; i++) {
            bytes[i] = (byte) (value >>> (8 * i));
        }
        return bytes;
    }

    private static byte[] bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return bytes;
    }
}
