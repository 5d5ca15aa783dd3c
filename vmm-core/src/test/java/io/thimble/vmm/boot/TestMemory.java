package io.thimble.vmm.boot;

import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;

/** Guest memory for tests. */
public final class TestMemory {
    private TestMemory() {}

    /** Returns zeroed memory from address 0 on. */
    public static GuestMemory ofMebibytes(Arena arena, long mebibytes) {
        return GuestMemory.of(new MemoryRegion(0, arena.allocate(mebibytes << 20, GuestMemory.PAGE_SIZE)));
    }

    /** Returns a copy of a range. */
    public static byte[] bytes(GuestMemory memory, long gpa, int length) {
        byte[] bytes = new byte[length];
        memory.read(gpa, bytes, 0, length);
        return bytes;
    }

    /** Returns a range as ASCII. */
    public static String text(GuestMemory memory, long gpa, int length) {
        return new String(bytes(memory, gpa, length), StandardCharsets.US_ASCII);
    }

    /** Returns the sum of a range's bytes modulo 256, which is 0 for a table with a right checksum. */
    public static int checksum(GuestMemory memory, long gpa, int length) {
        int sum = 0;
        for (byte b : bytes(memory, gpa, length)) {
            sum += b;
        }
        return sum & 0xff;
    }
}
