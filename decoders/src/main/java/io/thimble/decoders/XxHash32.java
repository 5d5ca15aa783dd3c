package io.thimble.decoders;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** XXH32 with seed 0, the checksum of LZ4 frames. Source: xxhash_spec.md of the xxHash project. */
final class XxHash32 {
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private static final int PRIME_1 = 0x9E3779B1;
    private static final int PRIME_2 = 0x85EBCA77;
    private static final int PRIME_3 = 0xC2B2AE3D;
    private static final int PRIME_4 = 0x27D4EB2F;
    private static final int PRIME_5 = 0x165667B1;
    private static final int STRIPE = 16;

    private int a = 0x24234428; // PRIME_1 + PRIME_2
    private int b = PRIME_2;
    private int c;
    private int d = 0x61C8864F; // -PRIME_1
    private final byte[] rest = new byte[STRIPE];
    private int restLength;
    private long total;

    static int of(byte[] bytes, int offset, int length) {
        XxHash32 hash = new XxHash32();
        hash.update(bytes, offset, length);
        return hash.digest();
    }

    void update(byte[] bytes, int offset, int length) {
        int at = offset;
        int end = offset + length;
        total += length;
        while (at < end && (restLength > 0 || end - at < STRIPE)) {
            rest[restLength++] = bytes[at++];
            if (restLength == STRIPE) {
                stripe(rest, 0);
                restLength = 0;
            }
        }
        for (; end - at >= STRIPE; at += STRIPE) {
            stripe(bytes, at);
        }
        while (at < end) {
            rest[restLength++] = bytes[at++];
        }
    }

    private void stripe(byte[] bytes, int at) {
        a = round(a, (int) INT.get(bytes, at));
        b = round(b, (int) INT.get(bytes, at + 4));
        c = round(c, (int) INT.get(bytes, at + 8));
        d = round(d, (int) INT.get(bytes, at + 12));
    }

    private static int round(int accumulator, int lane) {
        return Integer.rotateLeft(accumulator + lane * PRIME_2, 13) * PRIME_1;
    }

    int digest() {
        int hash = total >= STRIPE
                ? Integer.rotateLeft(a, 1)
                        + Integer.rotateLeft(b, 7)
                        + Integer.rotateLeft(c, 12)
                        + Integer.rotateLeft(d, 18)
                : PRIME_5;
        hash += (int) total;
        int at = 0;
        for (; restLength - at >= Integer.BYTES; at += Integer.BYTES) {
            hash = Integer.rotateLeft(hash + (int) INT.get(rest, at) * PRIME_3, 17) * PRIME_4;
        }
        for (; at < restLength; at++) {
            hash = Integer.rotateLeft(hash + (rest[at] & 0xff) * PRIME_5, 11) * PRIME_1;
        }
        hash = (hash ^ hash >>> 15) * PRIME_2;
        hash = (hash ^ hash >>> 13) * PRIME_3;
        return hash ^ hash >>> 16;
    }
}
