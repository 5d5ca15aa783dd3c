package io.thimble.decoders;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.github.luben.zstd.ZstdOutputStream;
import io.thimble.vmm.spi.KernelDecoder;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.ServiceLoader;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tukaani.xz.FilterOptions;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.LZMAOutputStream;
import org.tukaani.xz.X86Options;
import org.tukaani.xz.XZOutputStream;

class DecodersTest {
    private static final int DAMAGES = 400;
    private static final Duration LIMIT = Duration.ofMinutes(2);
    /** Far more than a damaged sample can give; a decoder that gives more has lost its way. */
    private static final int MOST_OUTPUT = 64 << 20;

    /** A way to pack the sample. */
    enum Packing {
        XZ("xz") {
            @Override
            byte[] pack(byte[] bytes) throws IOException {
                // As Linux's xz_wrap.sh does for x86.
                FilterOptions[] chain = {new X86Options(), new LZMA2Options(1)};
                return through(bytes, out -> new XZOutputStream(out, chain, org.tukaani.xz.XZ.CHECK_CRC32));
            }
        },
        LZMA("lzma") {
            @Override
            byte[] pack(byte[] bytes) throws IOException {
                return through(bytes, out -> new LZMAOutputStream(out, new LZMA2Options(1), bytes.length));
            }
        },
        ZSTD("zstd") {
            @Override
            byte[] pack(byte[] bytes) throws IOException {
                return through(bytes, out -> new ZstdOutputStream(out, 19).setChecksum(true));
            }
        },
        LZ4_LEGACY("lz4") {
            @Override
            byte[] pack(byte[] bytes) throws IOException {
                return Samples.resource("sample.legacy.lz4");
            }
        },
        LZ4_LINKED("lz4") {
            @Override
            byte[] pack(byte[] bytes) throws IOException {
                return Samples.resource("sample.linked.lz4");
            }
        },
        LZ4_SIZED("lz4") {
            @Override
            byte[] pack(byte[] bytes) throws IOException {
                return Samples.resource("sample.sized.lz4");
            }
        };

        final String format;

        Packing(String format) {
            this.format = format;
        }

        abstract byte[] pack(byte[] bytes) throws IOException;

        byte[] sample() throws IOException {
            return pack(Samples.bytes());
        }
    }

    interface Wrapping {
        OutputStream wrap(OutputStream out) throws IOException;
    }

    private static byte[] through(byte[] bytes, Wrapping wrapping) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (OutputStream out = wrapping.wrap(packed)) {
            out.write(bytes);
        }
        return packed.toByteArray();
    }

    private static KernelDecoder decoder(String format) {
        return ServiceLoader.load(KernelDecoder.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(d -> d.format().equals(format))
                .findFirst()
                .orElseThrow();
    }

    /** Unpacks; fails if it gives too much. */
    private static byte[] unpack(String format, byte[] packed) throws IOException {
        try (InputStream in = decoder(format).open(new ByteArrayInputStream(packed))) {
            byte[] bytes = in.readNBytes(MOST_OUTPUT);
            assertThat(bytes).hasSizeLessThan(MOST_OUTPUT);
            return bytes;
        }
    }

    @ParameterizedTest
    @EnumSource
    void unpacks_what_was_packed(Packing packing) throws IOException {
        assertThat(unpack(packing.format, packing.sample())).isEqualTo(Samples.bytes());
    }

    @ParameterizedTest
    @EnumSource
    void gives_single_bytes_too(Packing packing) throws IOException {
        byte[] expected = Samples.bytes();
        try (InputStream in = decoder(packing.format).open(new ByteArrayInputStream(packing.sample()))) {
            for (int i = 0; i < 1000; i++) {
                assertThat(in.read()).isEqualTo(expected[i] & 0xff);
            }
            assertThat(in.readAllBytes()).isEqualTo(Arrays.copyOfRange(expected, 1000, expected.length));
            assertThat(in.read()).isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "LZMA") // has one member only
    void unpacks_two_members_one_behind_the_other(Packing packing) throws IOException {
        byte[] once = packing.sample();
        byte[] twice = Arrays.copyOf(once, 2 * once.length);
        System.arraycopy(once, 0, twice, once.length, once.length);
        byte[] unpacked = unpack(packing.format, twice);
        assertThat(Arrays.copyOf(unpacked, Samples.SIZE)).isEqualTo(Samples.bytes());
        assertThat(Arrays.copyOfRange(unpacked, Samples.SIZE, unpacked.length)).isEqualTo(Samples.bytes());
    }

    /** The legacy format has no end mark and no checksum: what is cut between blocks is not missed. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "LZ4_LEGACY")
    void misses_what_was_cut_off(Packing packing) throws IOException {
        byte[] whole = packing.sample();
        SplittableRandom random = seeded();
        for (int i = 0; i < 50; i++) {
            byte[] cut = Arrays.copyOf(whole, random.nextInt(whole.length));
            assertThatExceptionOfType(IOException.class).isThrownBy(() -> unpack(packing.format, cut));
        }
    }

    /** Whatever the bytes are: an end or an IOException, in bounded time, with bounded output. */
    @ParameterizedTest
    @EnumSource
    void survives_damage(Packing packing) throws IOException {
        byte[] whole = packing.sample();
        SplittableRandom random = seeded();
        int[] refused = new int[1];
        Assertions.assertTimeoutPreemptively(LIMIT, () -> {
            for (int i = 0; i < DAMAGES; i++) {
                byte[] damaged = damage(whole, random);
                try {
                    unpack(packing.format, damaged);
                } catch (IOException _) {
                    refused[0]++;
                }
            }
        });
        assertThat(refused[0]).isGreaterThan(DAMAGES / 10);
    }

    private static byte[] damage(byte[] whole, SplittableRandom random) {
        byte[] damaged = random.nextInt(4) == 0 ? Arrays.copyOf(whole, random.nextInt(whole.length)) : whole.clone();
        int count = 1 + random.nextInt(8);
        for (int i = 0; i < count && damaged.length > 0; i++) {
            // Headers are short, and the most is to be broken there.
            int range = random.nextBoolean() ? Math.min(64, damaged.length) : damaged.length;
            int at = random.nextInt(range);
            switch (random.nextInt(3)) {
                case 0 -> damaged[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> damaged[at] = (byte) random.nextInt(256);
                default -> Arrays.fill(damaged, at, Math.min(damaged.length, at + 4), (byte) -random.nextInt(2));
            }
        }
        return damaged;
    }

    private static SplittableRandom seeded() {
        long seed = System.nanoTime();
        System.out.println("seed " + seed);
        return new SplittableRandom(seed);
    }

    @Test
    void refuses_an_xz_dictionary_larger_than_any_kernel_has() throws IOException {
        byte[] packed = through(new byte[10], out -> new XZOutputStream(out, new LZMA2Options(0)));
        // The block header: its size, flags, the filter LZMA2, one byte of properties, the dictionary's size; then a
        // CRC32.
        assertThat(packed[14]).isEqualTo((byte) 0x21);
        packed[16] = 36; // 1 GiB
        CRC32 crc = new CRC32();
        crc.update(packed, 12, 8);
        ByteBuffer.wrap(packed).order(ByteOrder.LITTLE_ENDIAN).putInt(20, (int) crc.getValue());
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> unpack("xz", packed))
                .withMessageContaining("memory");
    }

    @Test
    void refuses_a_zstd_window_larger_than_any_kernel_has() throws IOException {
        // Magic, frame header descriptor 0, window descriptor 2^(10 + 18) = 256 MiB, an empty last block.
        byte[] packed = {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd, 0, (byte) (18 << 3), 1, 0, 0};
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> unpack("zstd", packed))
                .withMessageContaining("memory");
        packed[5] = (byte) (17 << 3);
        assertThat(unpack("zstd", packed)).isEmpty();
    }

    @Test
    void every_decoder_is_offered_and_none_loads_its_library_for_that() {
        Stream<String> formats = ServiceLoader.load(KernelDecoder.class).stream()
                .map(ServiceLoader.Provider::get)
                .map(KernelDecoder::format);
        assertThat(formats).containsExactlyInAnyOrder("xz", "lzma", "zstd", "lz4");
    }
}
