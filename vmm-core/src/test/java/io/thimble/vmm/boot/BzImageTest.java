package io.thimble.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.memory.GuestMemory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BzImageTest {
    private static final long MIB = 1 << 20;

    @TempDir
    Path directory;

    /** A bzImage with 3 setup sectors and 64 KiB of code, as Linux 6.x writes its header. Offsets as in boot.rst. */
    private static byte[] bzImage(Consumer<ByteBuffer> change) {
        ByteBuffer file = ByteBuffer.allocate(4 * 512 + 0x10000).order(ByteOrder.LITTLE_ENDIAN);
        file.put(0x1f1, (byte) 3);
        file.putInt(0x1f4, 0x1000);
        file.putShort(0x1fe, (short) 0xaa55);
        file.put(0x200, (byte) 0xeb).put(0x201, (byte) 0x6a);
        file.put(0x202, new byte[] {'H', 'd', 'r', 'S'});
        file.putShort(0x206, (short) 0x20f);
        file.put(0x211, (byte) 1);
        file.putInt(0x214, 0x100000);
        file.putInt(0x22c, 0x7fffffff);
        file.putInt(0x230, 0x200000);
        file.put(0x234, (byte) 1);
        file.putShort(0x236, (short) 0x3f);
        file.putInt(0x238, 2047);
        file.putLong(0x258, 0x1000000);
        file.putInt(0x260, 0x300000);
        for (int i = 0; i < 0x10000; i++) {
            file.put(2048 + i, (byte) (i * 7 + (i >> 8)));
        }
        change.accept(file);
        return file.array();
    }

    @Test
    void loads_the_protected_mode_part_at_the_preferred_address() throws IOException {
        byte[] file = bzImage(b -> {});
        try (Arena arena = Arena.ofShared();
                KernelImage image = open(file)) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 20);
            image.load(memory, true);
            assertThat(TestMemory.bytes(memory, 16 * MIB, 0x10000))
                    .isEqualTo(Arrays.copyOfRange(file, 2048, 2048 + 0x10000));
            assertThat(image.start()).isEqualTo(16 * MIB);
            assertThat(image.end()).isEqualTo(19 * MIB);
            assertThat(image.maxCommandLineLength()).isEqualTo(2047);
            assertThat(image.initrdAddressMax()).isEqualTo(0x7fffffffL);
            assertThat(((BzImage) image).entryMode()).isEqualTo(EntryMode.LONG_64);
            assertThat(((BzImage) image).entry()).isEqualTo(16 * MIB + 0x200);
        }
    }

    @Test
    void enters_in_32_bits_where_there_is_no_64_bit_entry() throws IOException {
        try (KernelImage image = open(bzImage(b -> b.putShort(0x236, (short) 0)))) {
            assertThat(((BzImage) image).entryMode()).isEqualTo(EntryMode.PROTECTED_32);
            assertThat(((BzImage) image).entry()).isEqualTo(16 * MIB);
        }
    }

    @Test
    void loads_a_kernel_that_is_not_relocatable_at_1_mib() throws IOException {
        try (KernelImage image = open(bzImage(b -> b.put(0x234, (byte) 0)))) {
            assertThat(image.start()).isEqualTo(MIB);
            assertThat(image.end()).isEqualTo(4 * MIB);
        }
    }

    @Test
    void takes_four_setup_sectors_where_the_header_says_none() throws IOException {
        byte[] file = bzImage(b -> b.put(0x1f1, (byte) 0).putInt(0x1f4, 0xfe0));
        try (Arena arena = Arena.ofShared();
                KernelImage image = open(file)) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 20);
            image.load(memory, true);
            assertThat(TestMemory.bytes(memory, 16 * MIB, 16)).isEqualTo(Arrays.copyOfRange(file, 2560, 2576));
        }
    }

    @Test
    void never_puts_an_initrd_into_the_hole() throws IOException {
        try (KernelImage image = open(bzImage(b -> b.putInt(0x22c, -1)))) {
            assertThat(image.initrdAddressMax()).isEqualTo(0xbfffffffL);
        }
    }

    @Test
    void rejects_what_is_no_usable_bzimage_and_says_why() throws IOException {
        rejects(bzImage(b -> b.put(0x203, (byte) 'x')), "neither an ELF vmlinux nor a bzImage");
        rejects(bzImage(b -> b.putShort(0x1fe, (short) 0)), "boot flag");
        rejects(bzImage(b -> b.putShort(0x206, (short) 0x209)), "boot protocol 2.09");
        rejects(bzImage(b -> b.put(0x211, (byte) 0)), "zImage");
        rejects(bzImage(b -> b.put(0x201, (byte) 0x20)), "setup header ends at 0x222");
        rejects(bzImage(b -> b.putInt(0x1f4, 0)), "truncated");
        rejects(bzImage(b -> b.putInt(0x1f4, -1)), "truncated");
        rejects(bzImage(b -> b.putInt(0x1f4, 0x1001)), "truncated");
        rejects(bzImage(b -> b.putLong(0x258, 0x1000)), "preferred address 0x1000");
        rejects(bzImage(b -> b.putLong(0x258, -0x200000)), "preferred address");
        rejects(bzImage(b -> b.putLong(0x258, 0x1010000)), "preferred address");
        rejects(bzImage(b -> b.putInt(0x230, 3)), "alignment 0x3");
        rejects(Arrays.copyOf(bzImage(b -> {}), 0x230), "truncated");
    }

    @Test
    void rejects_memory_smaller_than_init_size_asks_for() throws IOException {
        try (Arena arena = Arena.ofShared();
                KernelImage image = open(bzImage(b -> {}))) {
            assertThatExceptionOfType(InsufficientMemoryException.class)
                    .isThrownBy(() -> image.load(TestMemory.ofMebibytes(arena, 18), true))
                    .withMessageContaining("at least 19 MiB");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 0})
    void survives_random_damage(int fixedSeed) throws IOException {
        long seed = fixedSeed == 0 ? System.nanoTime() : fixedSeed;
        System.out.println("BzImageTest.survives_random_damage: seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        byte[] good = bzImage(b -> {});
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 20);
            for (int i = 0; i < 300; i++) {
                byte[] bad = good.clone();
                for (int n = 1 + random.nextInt(3); n > 0; n--) {
                    bad[0x1f1 + random.nextInt(0x80)] = (byte) random.nextInt();
                }
                try (KernelImage image = open(bad)) {
                    image.load(memory, false);
                    assertThat(image.end()).isLessThanOrEqualTo(20 * MIB);
                } catch (BootException e) {
                    assertThat(e.getMessage()).contains("kernel");
                }
            }
        }
    }

    private void rejects(byte[] file, String reason) throws IOException {
        Path path = write(file);
        assertThatExceptionOfType(KernelImageException.class)
                .isThrownBy(() -> KernelImage.open(path).close())
                .withMessageContaining(reason);
    }

    private KernelImage open(byte[] file) throws IOException {
        return KernelImage.open(write(file));
    }

    private Path write(byte[] file) throws IOException {
        return Files.write(directory.resolve("kernel"), file);
    }
}
