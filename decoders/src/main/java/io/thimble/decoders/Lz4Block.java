package io.thimble.decoders;

import java.io.IOException;

/**
 * One LZ4 block: sequences of literals and of copies from what was unpacked before. Source: lz4_Block_format.md of the LZ4
 * project.
 */
final class Lz4Block {
    /** How far back a copy can reach. */
    static final int MAX_DISTANCE = 0xffff;

    private static final int MIN_MATCH = 4;
    private static final int LONG_LENGTH = 15;

    private final byte[] in;
    private final int inEnd;
    private final byte[] out;
    private final int outEnd;
    private int at;
    private int to;

    private Lz4Block(byte[] in, int inEnd, byte[] out, int outStart, int outEnd) {
        this.in = in;
        this.inEnd = inEnd;
        this.out = out;
        this.to = outStart;
        this.outEnd = outEnd;
    }

    /**
     * Unpacks a block.
     *
     * @param in the block, from index 0
     * @param inLength its length
     * @param out where to; copies may reach back to {@code historyStart}
     * @param historyStart first byte of {@code out} that holds something
     * @param outStart where the block's bytes go
     * @param outEnd how far they may go
     * @return the first index behind them
     * @throws IOException if the block is damaged
     */
    static int decode(byte[] in, int inLength, byte[] out, int historyStart, int outStart, int outEnd)
            throws IOException {
        return new Lz4Block(in, inLength, out, outStart, outEnd).run(historyStart);
    }

    private int run(int historyStart) throws IOException {
        while (true) {
            int token = next();
            literals(length(token >> 4));
            if (at == inEnd) {
                return to;
            }
            int distance = next() | next() << 8;
            if (distance == 0 || distance > to - historyStart) {
                throw new IOException("a copy from before the beginning");
            }
            copy(distance, length(token & 0xf) + MIN_MATCH);
        }
    }

    private int next() throws IOException {
        if (at == inEnd) {
            throw new IOException("a block ends inside a sequence");
        }
        return in[at++] & 0xff;
    }

    /** Reads the rest of a length that did not fit into four bits. Stays below the output's size, so it cannot overflow. */
    private int length(int nibble) throws IOException {
        int length = nibble;
        if (nibble == LONG_LENGTH) {
            int more;
            do {
                more = next();
                length += more;
                if (length > out.length) {
                    throw tooLong();
                }
            } while (more == 0xff);
        }
        return length;
    }

    private void literals(int length) throws IOException {
        if (length > inEnd - at) {
            throw new IOException("a block ends inside literals");
        }
        if (length > outEnd - to) {
            throw tooLong();
        }
        System.arraycopy(in, at, out, to, length);
        at += length;
        to += length;
    }

    /** A copy may overlap with itself: it then repeats its first bytes. */
    private void copy(int distance, int length) throws IOException {
        if (length > outEnd - to) {
            throw tooLong();
        }
        int done = 0;
        while (done < length) {
            // What is there already, and a whole number of repetitions: doubles with each turn.
            int part = Math.min(length - done, distance + done);
            System.arraycopy(out, to - distance, out, to + done, part);
            done += part;
        }
        to += length;
    }

    private static IOException tooLong() {
        return new IOException("a block unpacks to more than its frame allows");
    }
}
