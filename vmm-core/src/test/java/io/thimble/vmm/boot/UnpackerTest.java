package io.thimble.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.memory.GuestMemory;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UnpackerTest {
    private static final long MIB = 1 << 20;
    private static final int PAYLOAD_OFFSET = 0x340;

    @TempDir
    Path directory;

    /** Larger than one piece of unpacked memory, and unlike in all its parts. */
    private static byte[] vmlinux() {
        byte[] code = new byte[9 << 20];
        new SplittableRandom(7).nextBytes(code);
        return new ElfBuilder().load(0, 16 * MIB, code, code.length).build();
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        }
        return out.toByteArray();
    }

    /** A bzImage around a payload, with the header fields of boot.rst. */
    private static byte[] bzImage(byte[] payload) {
        int code = Math.max(0x1000, (PAYLOAD_OFFSET + payload.length + 15) & ~15);
        ByteBuffer file = ByteBuffer.allocate(1024 + code).order(ByteOrder.LITTLE_ENDIAN);
        file.put(0x1f1, (byte) 1).putInt(0x1f4, code / 16).putShort(0x1fe, (short) 0xaa55);
        file.put(0x200, (byte) 0xeb).put(0x201, (byte) 0x6a).put(0x202, new byte[] {'H', 'd', 'r', 'S'});
        file.putShort(0x206, (short) 0x20f).put(0x211, (byte) 1).putInt(0x22c, 0x7fffffff);
        file.putInt(0x230, 0x200000)
                .put(0x234, (byte) 1)
                .putShort(0x236, (short) 0x3f)
                .putInt(0x238, 2047);
        file.putInt(0x248, PAYLOAD_OFFSET).putInt(0x24c, payload.length);
        file.putLong(0x258, 0x1000000).putInt(0x260, 0x300000);
        file.put(1024 + PAYLOAD_OFFSET, payload);
        return file.array();
    }

    private Path write(byte[] bytes) throws IOException {
        return Files.write(directory.resolve("vmlinuz"), bytes);
    }

    private static void assertLoads(KernelImage image, byte[] elf) throws IOException {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 26);
            image.load(memory, true);
            assertThat(TestMemory.bytes(memory, 16 * MIB, 9 << 20))
                    .isEqualTo(Arrays.copyOfRange(elf, elf.length - (9 << 20), elf.length));
        }
    }

    @Test
    void a_compressed_vmlinux_loads_and_says_what_it_was() throws IOException {
        byte[] elf = vmlinux();
        Path path = write(gzip(elf));
        try (KernelImage image = KernelImage.open(path)) {
            assertThat(image.describe()).startsWith(path + " (gzip): ELF vmlinux");
            assertThat(image.packing()).isEqualTo("gzip");
            assertLoads(image, elf);
        }
    }

    @Test
    void the_kernel_inside_a_bzimage_loads_without_it() throws IOException {
        byte[] elf = vmlinux();
        Path path = write(bzImage(gzip(elf)));
        try (KernelImage image = KernelImage.openUnpacked(path)) {
            assertThat(image).isInstanceOf(ElfKernel.class);
            assertThat(image.describe()).startsWith(path + " (bzImage's payload, gzip): ELF vmlinux");
            assertLoads(image, elf);
        }
        try (KernelImage image = KernelImage.open(path)) {
            assertThat(image).isInstanceOf(BzImage.class);
            assertThat(image.packing()).isEmpty();
        }
    }

    @Test
    void a_compressed_bzimage_is_a_bzimage() throws IOException {
        Path path = write(gzip(bzImage(gzip(vmlinux()))));
        try (KernelImage image = KernelImage.open(path)) {
            assertThat(image).isInstanceOf(BzImage.class);
        }
        try (KernelImage image = KernelImage.openUnpacked(path)) {
            assertThat(image).isInstanceOf(ElfKernel.class);
        }
    }

    @Test
    void openUnpacked_takes_an_elf_file_as_it_is() throws IOException {
        byte[] elf = vmlinux();
        try (KernelImage image = KernelImage.openUnpacked(write(elf))) {
            assertLoads(image, elf);
        }
    }

    private void refuses(byte[] file, String reason) throws IOException {
        Path path = write(file);
        assertThatExceptionOfType(KernelImageException.class)
                .isThrownBy(() -> KernelImage.openUnpacked(path).close())
                .withMessageStartingWith(path.toString())
                .withMessageContaining(reason);
    }

    @Test
    void refuses_what_is_damaged() throws IOException {
        byte[] packed = gzip(vmlinux());
        refuses(Arrays.copyOf(packed, packed.length / 2), "damaged, or not all there (gzip: ");
        byte[] flipped = packed.clone();
        flipped[packed.length / 2] ^= 1;
        refuses(flipped, "damaged");
        byte[] wrongSize = packed.clone();
        wrongSize[packed.length - 4] ^= 1;
        refuses(bzImage(wrongSize), "damaged");
        refuses(gzip(packed), "compressed by gzip"); // twice
        refuses(gzip(new byte[0]), "neither an ELF vmlinux");
    }

    @Test
    void refuses_a_bzimage_whose_payload_cannot_be_found() throws IOException {
        byte[] image = bzImage(gzip(vmlinux()));
        ByteBuffer header = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        header.putInt(0x24c, 0);
        refuses(image, "does not say where");
        header.putInt(0x24c, -1);
        refuses(image, "does not say where");
        header.putInt(0x248, image.length).putInt(0x24c, 100);
        refuses(image, "does not say where");
        refuses(bzImage(new byte[100]), "compressed in an unknown way");
        refuses(bzImage(gzip(new byte[100])), "not an ELF file");
    }

    @Test
    void names_the_module_that_is_missing() throws IOException {
        refuses(
                new byte[] {(byte) 0xfd, '7', 'z', 'X', 'Z', 0, 0, 0},
                "add io.thimble:thimble-decoders (io.thimble:microvm brings it), or unpack it with unxz first");
    }

    @Test
    void takes_no_more_memory_than_allowed() throws IOException {
        InputStream endless = new InputStream() {
            @Override
            public int read() {
                return 0;
            }

            @Override
            public int read(byte[] target, int offset, int length) {
                return length;
            }
        };
        UnpackedBytes bytes = new UnpackedBytes();
        try {
            assertThat(bytes.fill(endless, 10 * MIB)).isFalse();
            assertThat(bytes.size()).isLessThanOrEqualTo(10 * MIB);
        } finally {
            bytes.close();
        }
    }

    @Test
    void gives_back_every_byte_at_every_place() throws IOException {
        byte[] content = new byte[(8 << 20) + 12_345];
        new SplittableRandom(3).nextBytes(content);
        UnpackedBytes bytes = new UnpackedBytes();
        assertThat(bytes.fill(new ByteArrayInputStream(content), content.length))
                .isTrue();
        try (BootFile file = new BootFile("test", "", bytes, bytes.size())) {
            SplittableRandom random = new SplittableRandom(4);
            for (int i = 0; i < 100; i++) {
                int at = random.nextInt(content.length);
                int length = random.nextInt(content.length - at);
                assertThat(file.read(at, length).array()).isEqualTo(Arrays.copyOfRange(content, at, at + length));
            }
        }
    }
}
