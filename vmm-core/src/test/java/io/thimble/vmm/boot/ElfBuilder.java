package io.thimble.vmm.boot;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Builds small ELF64 files, right or wrong, from the ELF specification alone. */
final class ElfBuilder {
    private static final int DATA_START = 0x400;

    private record Header(int type, long offset, long vaddr, long paddr, long fileSize, long memorySize, long align) {}

    private final List<Header> headers = new ArrayList<>();
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();
    private long entry = 0x100_0000;

    ElfBuilder entry(long address) {
        entry = address;
        return this;
    }

    ElfBuilder load(long vaddr, long paddr, byte[] contents, long memorySize) {
        return raw(1, DATA_START + data.size(), vaddr, paddr, contents.length, memorySize, 0x1000, contents);
    }

    /** Adds a program header as it is; contents go to the end of the file. */
    ElfBuilder raw(
            int type,
            long offset,
            long vaddr,
            long paddr,
            long fileSize,
            long memorySize,
            long align,
            byte... contents) {
        headers.add(new Header(type, offset, vaddr, paddr, fileSize, memorySize, align));
        data.writeBytes(contents);
        return this;
    }

    ElfBuilder notes(byte[] table) {
        return raw(4, DATA_START + data.size(), 0, 0, table.length, table.length, 4, table);
    }

    static byte[] note(String name, int type, byte[] descriptor) {
        byte[] nameBytes = (name + '\0').getBytes(StandardCharsets.US_ASCII);
        ByteBuffer note = ByteBuffer.allocate(12 + round4(nameBytes.length) + round4(descriptor.length))
                .order(ByteOrder.LITTLE_ENDIAN);
        note.putInt(nameBytes.length).putInt(descriptor.length).putInt(type);
        note.put(12, nameBytes).put(12 + round4(nameBytes.length), descriptor);
        return note.array();
    }

    byte[] build() {
        ByteBuffer file = ByteBuffer.allocate(DATA_START + data.size()).order(ByteOrder.LITTLE_ENDIAN);
        file.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1});
        file.putShort(16, (short) 2).putShort(18, (short) 62).putInt(20, 1).putLong(24, entry);
        file.putLong(32, 64).putShort(52, (short) 64).putShort(54, (short) 56).putShort(56, (short) headers.size());
        int at = 64;
        for (Header h : headers) {
            file.putInt(at, h.type).putInt(at + 4, 7).putLong(at + 8, h.offset).putLong(at + 16, h.vaddr);
            file.putLong(at + 24, h.paddr).putLong(at + 32, h.fileSize).putLong(at + 40, h.memorySize);
            file.putLong(at + 48, h.align);
            at += 56;
        }
        file.put(DATA_START, data.toByteArray());
        return file.array();
    }

    private static int round4(int value) {
        return (value + 3) & ~3;
    }
}
