package io.thimble.decoders;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * Unpacks LZ4 frames and the legacy format, one behind the other, to the end of the input. Checksums are compared. Source:
 * lz4_Frame_format.md of the LZ4 project.
 */
final class Lz4InputStream extends InputStream {
    private static final int FRAME_MAGIC = 0x184D2204;
    private static final int LEGACY_MAGIC = 0x184C2102;
    private static final int SKIPPABLE_MAGIC = 0x184D2A50;
    private static final int SKIPPABLE_MASK = 0xfffffff0;

    private static final int LEGACY_BLOCK = 8 << 20;
    private static final int HISTORY = Lz4Block.MAX_DISTANCE + 1;
    private static final int UNCOMPRESSED = 0x8000_0000;

    private static final int FLG_VERSION_MASK = 0xc0;
    private static final int FLG_VERSION = 0x40;
    private static final int FLG_INDEPENDENT = 0x20;
    private static final int FLG_BLOCK_CHECKSUM = 0x10;
    private static final int FLG_CONTENT_SIZE = 0x08;
    private static final int FLG_CONTENT_CHECKSUM = 0x04;
    private static final int FLG_RESERVED = 0x02;
    private static final int FLG_DICTIONARY = 0x01;
    private static final int BD_RESERVED = 0x8f;

    private enum State {
        BETWEEN,
        LEGACY,
        FRAME,
        END
    }

    private final InputStream in;
    private final byte[] word = new byte[Integer.BYTES];
    private State state = State.BETWEEN;
    private int flags;
    private int maxBlock;
    private @Nullable XxHash32 contentHash;
    private byte[] packed = new byte[0];
    private byte[] out = new byte[0];
    private int historyStart;
    private int next;
    private int end;

    Lz4InputStream(InputStream in) throws IOException {
        this.in = in;
        if (!readWord()) {
            throw new EOFException("no LZ4 data");
        }
        begin(word());
    }

    @Override
    public int read() throws IOException {
        return fill() ? out[next++] & 0xff : -1;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        if (!fill()) {
            return -1;
        }
        int part = Math.min(length, end - next);
        System.arraycopy(out, next, target, offset, part);
        next += part;
        return part;
    }

    @Override
    public void close() throws IOException {
        in.close();
    }

    /** Unpacks the next block if there is nothing left of the one before; returns whether there is something. */
    private boolean fill() throws IOException {
        while (next == end) {
            switch (state) {
                case END -> {
                    return false;
                }
                case BETWEEN -> {
                    if (readWord()) {
                        begin(word());
                    } else {
                        state = State.END;
                    }
                }
                case LEGACY -> legacyBlock();
                case FRAME -> frameBlock();
            }
        }
        return true;
    }

    private void begin(int magic) throws IOException {
        if (magic == LEGACY_MAGIC) {
            state = State.LEGACY;
            flags = FLG_INDEPENDENT;
            setMaxBlock(LEGACY_BLOCK);
        } else if (magic == FRAME_MAGIC) {
            state = State.FRAME;
            frameHeader();
        } else if ((magic & SKIPPABLE_MASK) == SKIPPABLE_MAGIC) {
            in.skipNBytes(Integer.toUnsignedLong(requireWord()));
        } else {
            throw new IOException(String.format("neither an LZ4 frame nor the end: 0x%08x", magic));
        }
    }

    private void frameHeader() throws IOException {
        byte[] header = new byte[14];
        int length = 2;
        readFully(header, 0, length);
        flags = header[0] & 0xff;
        int blockDescriptor = header[1] & 0xff;
        if ((flags & FLG_VERSION_MASK) != FLG_VERSION
                || (flags & FLG_RESERVED) != 0
                || (blockDescriptor & BD_RESERVED) != 0
                || blockDescriptor >> 4 < 4) {
            throw new IOException("an LZ4 frame of an unknown version");
        }
        if ((flags & FLG_DICTIONARY) != 0) {
            throw new IOException("an LZ4 frame that needs a dictionary");
        }
        if ((flags & FLG_CONTENT_SIZE) != 0) {
            readFully(header, length, Long.BYTES);
            length += Long.BYTES;
        }
        byte[] checksum = new byte[1];
        readFully(checksum, 0, 1);
        if (checksum[0] != (byte) (XxHash32.of(header, 0, length) >> 8)) {
            throw new IOException("the LZ4 frame's header has a wrong checksum");
        }
        contentHash = (flags & FLG_CONTENT_CHECKSUM) == 0 ? null : new XxHash32();
        // 4: 64 KiB, 5: 256 KiB, 6: 1 MiB, 7: 4 MiB.
        setMaxBlock(1 << (8 + 2 * (blockDescriptor >> 4)));
    }

    private void setMaxBlock(int size) {
        maxBlock = size;
        if (out.length < HISTORY + size) {
            out = new byte[HISTORY + size];
        }
        historyStart = HISTORY;
        next = HISTORY;
        end = HISTORY;
    }

    /** The legacy format has no end mark: after a block comes another, the end, or a new magic. */
    private void legacyBlock() throws IOException {
        if (!readWord()) {
            state = State.END;
            return;
        }
        int size = word();
        if (size == LEGACY_MAGIC || size == FRAME_MAGIC || (size & SKIPPABLE_MASK) == SKIPPABLE_MAGIC) {
            state = State.BETWEEN;
            begin(size);
            return;
        }
        // An incompressible block grows by a byte in 255.
        if (size <= 0 || size > maxBlock + maxBlock / 255 + 16) {
            throw new IOException("a block of " + Integer.toUnsignedLong(size) + " bytes");
        }
        readPacked(size);
        end = Lz4Block.decode(packed, size, out, HISTORY, HISTORY, HISTORY + maxBlock);
        next = HISTORY;
    }

    private void frameBlock() throws IOException {
        int size = requireWord();
        if (size == 0) {
            state = State.BETWEEN;
            if (contentHash != null && requireWord() != contentHash.digest()) {
                throw new IOException("the LZ4 frame's contents have a wrong checksum");
            }
            return;
        }
        boolean compressed = (size & UNCOMPRESSED) == 0;
        int length = size & ~UNCOMPRESSED;
        if (length > maxBlock) {
            throw new IOException("a block of " + length + " bytes in a frame with blocks of " + maxBlock);
        }
        readPacked(length);
        if ((flags & FLG_BLOCK_CHECKSUM) != 0 && requireWord() != XxHash32.of(packed, 0, length)) {
            throw new IOException("a block has a wrong checksum");
        }
        keepHistory();
        if (compressed) {
            end = Lz4Block.decode(packed, length, out, historyStart, HISTORY, HISTORY + maxBlock);
        } else {
            System.arraycopy(packed, 0, out, HISTORY, length);
            end = HISTORY + length;
        }
        next = HISTORY;
        if (contentHash != null) {
            contentHash.update(out, HISTORY, end - HISTORY);
        }
    }

    /** Moves the last 64 KiB before the next block, for copies to reach back to. */
    private void keepHistory() {
        if ((flags & FLG_INDEPENDENT) != 0) {
            return;
        }
        int length = Math.min(HISTORY, end - historyStart);
        System.arraycopy(out, end - length, out, HISTORY - length, length);
        historyStart = HISTORY - length;
    }

    private void readPacked(int length) throws IOException {
        if (packed.length < length) {
            packed = new byte[length];
        }
        readFully(packed, 0, length);
    }

    private void readFully(byte[] target, int offset, int length) throws IOException {
        if (in.readNBytes(target, offset, length) < length) {
            throw new EOFException("the file ends inside LZ4 data");
        }
    }

    private int requireWord() throws IOException {
        readFully(word, 0, word.length);
        return word();
    }

    /** Reads four bytes; returns false at the end of the input. */
    private boolean readWord() throws IOException {
        int count = in.readNBytes(word, 0, word.length);
        if (count != 0 && count < word.length) {
            throw new EOFException("the file ends inside LZ4 data");
        }
        return count != 0;
    }

    private int word() {
        return ByteBuffer.wrap(word).order(ByteOrder.LITTLE_ENDIAN).getInt();
    }
}
