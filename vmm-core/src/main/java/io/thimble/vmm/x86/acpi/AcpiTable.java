package io.thimble.vmm.x86.acpi;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * A system description table with its standard header (ACPI specification 6.5, section 5.2.6):
 *
 * <pre>
 * 0 signature[4], 4 u32 length, 8 revision, 9 checksum, 10 oem_id[6], 16 oem_table_id[8], 24 u32 oem_revision,
 * 28 creator_id[4], 32 u32 creator_revision
 * </pre>
 */
final class AcpiTable {
    static final int SIZEOF_HEADER = 36;
    static final String OEM_ID = "THIMBL";

    private static final int CHECKSUM = 9;
    private static final String OEM_TABLE_ID = "THIMBLE ";
    private static final String CREATOR_ID = "THMB";

    private final ByteBuffer bytes;

    /** Creates a table of {@code size} bytes, all zero behind the header. */
    AcpiTable(String signature, int revision, int size) {
        bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put(0, ascii(signature)).putInt(4, size).put(8, (byte) revision);
        bytes.put(10, ascii(OEM_ID)).put(16, ascii(OEM_TABLE_ID)).putInt(24, 1);
        bytes.put(28, ascii(CREATOR_ID)).putInt(32, 1);
    }

    AcpiTable u8(int offset, int value) {
        bytes.put(offset, (byte) value);
        return this;
    }

    AcpiTable u16(int offset, int value) {
        bytes.putShort(offset, (short) value);
        return this;
    }

    AcpiTable u32(int offset, long value) {
        bytes.putInt(offset, (int) value);
        return this;
    }

    AcpiTable u64(int offset, long value) {
        bytes.putLong(offset, value);
        return this;
    }

    AcpiTable bytes(int offset, byte[] value) {
        bytes.put(offset, value);
        return this;
    }

    /** Writes a Generic Address Structure (section 5.2.3.2) for a register in I/O ports. */
    AcpiTable ioPort(int offset, int port, int registerBytes, int accessBytes) {
        return u8(offset, 1)
                .u8(offset + 1, registerBytes * 8)
                .u8(offset + 3, accessBytes)
                .u64(offset + 4, port);
    }

    /** Returns the table with its checksum set: all bytes sum up to 0. */
    byte[] finish() {
        byte[] table = bytes.array();
        table[CHECKSUM] = 0;
        table[CHECKSUM] = (byte) -sum(table, table.length);
        return table;
    }

    static int sum(byte[] bytes, int length) {
        int sum = 0;
        for (int i = 0; i < length; i++) {
            sum += bytes[i];
        }
        return sum;
    }

    static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
