package io.thimble.decoders;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SplittableRandom;

/** What the resources {@code sample.*.lz4} are when unpacked: {@code lz4 -9} made them, with -l, -B4 -BD -BX, and -B5 --content-size. */
final class Samples {
    static final int SIZE = 200_000;

    private Samples() {}

    /** Returns text that repeats itself at all distances, with stretches that do not. */
    static byte[] bytes() {
        SplittableRandom random = new SplittableRandom(25);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] noise = new byte[300];
        while (out.size() < SIZE) {
            if (random.nextInt(40) == 0) {
                random.nextBytes(noise);
                out.write(noise, 0, random.nextInt(noise.length));
            } else if (out.size() > 1000 && random.nextInt(3) > 0) {
                byte[] before = out.toByteArray();
                int length = Math.min(before.length, random.nextInt(2000));
                out.write(before, random.nextInt(before.length - length + 1), length);
            } else {
                out.writeBytes(Integer.toString(random.nextInt(1000)).getBytes(StandardCharsets.US_ASCII));
            }
        }
        byte[] all = out.toByteArray();
        return Arrays.copyOf(all, SIZE);
    }

    static byte[] resource(String name) throws IOException {
        try (InputStream in = Samples.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IOException("no test resource " + name);
            }
            return in.readAllBytes();
        }
    }
}
