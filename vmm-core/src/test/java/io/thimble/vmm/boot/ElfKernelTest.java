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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ElfKernelTest {
    private static final long MIB = 1 << 20;
    private static final byte[] CODE = {1, 2, 3, 4, 5, 6, 7, 8};

    @TempDir
    Path directory;

    private ElfBuilder linuxLike() {
        return new ElfBuilder()
                .entry(16 * MIB + 2)
                .load(0xffffffff81000000L, 16 * MIB, CODE, 8)
                .load(0, 17 * MIB, new byte[] {9, 9}, 0x3000)
                .notes(concat(
                        ElfBuilder.note("GNU", 3, new byte[20]),
                        ElfBuilder.note("Linux", 18, new byte[1]),
                        ElfBuilder.note("Xen", 19, new byte[12]),
                        ElfBuilder.note("Xen", 18, new byte[] {4, 0, 0, 1, 0, 0, 0, 0})));
    }

    @Test
    void loads_segments_at_their_physical_addresses() throws IOException {
        try (Arena arena = Arena.ofShared();
                KernelImage image = open(linuxLike().build())) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 18);
            image.load(memory, true);
            assertThat(TestMemory.bytes(memory, 16 * MIB, 9)).containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 0);
            assertThat(TestMemory.bytes(memory, 17 * MIB, 3)).containsExactly(9, 9, 0);
            assertThat(image.start()).isEqualTo(16 * MIB);
            assertThat(image.end()).isEqualTo(17 * MIB + 0x3000);
            ElfKernel elf = (ElfKernel) image;
            assertThat(elf.entry()).isEqualTo(16 * MIB + 2);
            assertThat(elf.pvhEntry()).hasValue(0x1000004);
            assertThat(image.describe()).contains("ELF vmlinux", "PVH entry 0x1000004");
        }
    }

    @Test
    void translates_a_virtual_entry_point() throws IOException {
        try (KernelImage image = open(linuxLike().entry(0xffffffff81000007L).build())) {
            assertThat(((ElfKernel) image).entry()).isEqualTo(16 * MIB + 7);
        }
    }

    @Test
    void clears_bss_only_where_memory_is_not_known_to_be_zero() throws IOException {
        try (Arena arena = Arena.ofShared();
                KernelImage image = open(linuxLike().build())) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 18);
            memory.fill(16 * MIB, 2 * MIB, (byte) 0x55);
            image.load(memory, true);
            assertThat(memory.getByte(17 * MIB + 2)).isEqualTo((byte) 0x55);
            image.load(memory, false);
            assertThat(TestMemory.bytes(memory, 17 * MIB + 2, 0x2ffe)).containsOnly(0);
            assertThat(memory.getByte(17 * MIB + 0x3000)).isEqualTo((byte) 0x55);
            assertThat(memory.getByte(16 * MIB + 8)).isEqualTo((byte) 0x55);
        }
    }

    @Test
    void rejects_memory_that_ends_before_the_kernel_and_names_the_figure() throws IOException {
        try (Arena arena = Arena.ofShared();
                KernelImage image = open(linuxLike().build())) {
            assertThatExceptionOfType(InsufficientMemoryException.class)
                    .isThrownBy(() -> image.load(TestMemory.ofMebibytes(arena, 17), true))
                    .withMessageContaining("at least 18 MiB")
                    .withMessageContaining("only 17 MiB");
        }
    }

    @Test
    void has_no_pvh_entry_without_the_note() throws IOException {
        byte[] file = new ElfBuilder().load(0, 16 * MIB, CODE, 8).build();
        try (KernelImage image = open(file)) {
            assertThat(((ElfKernel) image).pvhEntry()).isEmpty();
        }
    }

    @Test
    void rejects_damaged_headers_and_says_what_is_wrong() throws IOException {
        byte[] good = linuxLike().build();
        rejects(patch(good, 4, 1), "32-bit");
        rejects(patch(good, 5, 2), "another CPU");
        rejects(patch(good, 18, 0xb7), "e_machine 183");
        rejects(patch(good, 16, 1), "e_type 1");
        rejects(patch(good, 56, 0), "no program headers");
        rejects(patch(good, 57, 0xff), "program headers");
        rejects(patch(good, 54, 32), "program headers of 32 bytes");
        rejects(patch(good, 39, 0x80), "outside the file");
        rejects(patch(good, 34, 0x10), "outside the file");
        rejects(Arrays.copyOf(good, 40), "truncated");
        rejects(Arrays.copyOf(good, 100), "program headers");
        rejects(linuxLike().entry(0x123).build(), "entry point 0x123 lies in no segment");
        rejects(linuxLike().entry(17 * MIB + 2).build(), "lies in no segment");
    }

    @Test
    void rejects_segments_that_cannot_be_loaded() throws IOException {
        rejects(linuxLike().raw(1, 1 << 20, 0, 32 * MIB, 1, 1, 0).build(), "the segment at 0x2000000");
        rejects(linuxLike().raw(1, -8, 0, 32 * MIB, 8, 8, 0).build(), "outside the file");
        rejects(linuxLike().raw(1, 8, 0, 32 * MIB, -1, -1, 0).build(), "outside the file");
        rejects(
                linuxLike()
                        .raw(1, Long.MAX_VALUE, 0, 32 * MIB, Long.MAX_VALUE, -1, 0)
                        .build(),
                "outside the file");
        rejects(linuxLike().raw(1, 0, 0, 32 * MIB, 8, 7, 0).build(), "only 0x7 in memory");
        rejects(linuxLike().raw(1, 0, 0, 32 * MIB, 8, -1, 0).build(), "out of range");
        rejects(linuxLike().raw(1, 0, 0, -4096, 8, 4096, 0).build(), "out of range");
        rejects(linuxLike().raw(1, 0, 0, 0x7000, 8, 8, 0).build(), "first megabyte");
        rejects(linuxLike().raw(1, 0, 0, 16 * MIB + 7, 8, 8, 0).build(), "overlap");
        rejects(new ElfBuilder().notes(new byte[0]).build(), "no segment to load");
    }

    @Test
    void rejects_damaged_notes() throws IOException {
        rejects(
                new ElfBuilder()
                        .load(0, 16 * MIB, CODE, 8)
                        .notes(patch(ElfBuilder.note("Xen", 18, CODE), 4, 200))
                        .build(),
                "runs past its table");
        rejects(
                new ElfBuilder()
                        .load(0, 16 * MIB, CODE, 8)
                        .notes(patch(ElfBuilder.note("Xen", 18, CODE), 3, 0xff))
                        .build(),
                "runs past its table");
        rejects(
                new ElfBuilder()
                        .load(0, 16 * MIB, CODE, 8)
                        .notes(ElfBuilder.note("Xen", 18, CODE))
                        .build(),
                "above 4 GiB");
        rejects(
                new ElfBuilder()
                        .load(0, 16 * MIB, CODE, 8)
                        .notes(ElfBuilder.note("Xen", 18, new byte[4]))
                        .build(),
                "PVH entry point 0x0 lies in no segment");
        rejects(
                new ElfBuilder()
                        .load(0, 16 * MIB, CODE, 8)
                        .notes(ElfBuilder.note("Xen", 18, new byte[5]))
                        .build(),
                "expected 4 or 8");
        rejects(linuxLikeWithNoteTable(1L << 30), "outside the file");
    }

    @Test
    void names_a_kernel_made_for_xen_only() throws IOException {
        rejects(
                new ElfBuilder()
                        .load(0, 0, CODE, 8)
                        .notes(ElfBuilder.note("Xen", 1, new byte[8]))
                        .build(),
                "Xen's paravirtual mode");
    }

    /** Whatever is in the file, it is loaded or refused with a reason; nothing else is thrown. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 0})
    void survives_random_damage(int fixedSeed) throws IOException {
        long seed = fixedSeed == 0 ? System.nanoTime() : fixedSeed;
        System.out.println("ElfKernelTest.survives_random_damage: seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        byte[] good = linuxLike().build();
        int refused = 0;
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 18);
            for (int i = 0; i < 500; i++) {
                byte[] bad =
                        random.nextInt(5) == 0 ? Arrays.copyOf(good, 5 + random.nextInt(good.length)) : good.clone();
                for (int n = 1 + random.nextInt(4); n > 0; n--) {
                    bad[4 + random.nextInt(Math.min(bad.length, 4 * 56 + 64) - 4)] = (byte) random.nextInt();
                }
                try (KernelImage image = open(bad)) {
                    image.load(memory, false);
                } catch (BootException e) {
                    refused++;
                    assertThat(e.getMessage()).contains("kernel");
                }
            }
        }
        assertThat(refused).isPositive();
    }

    private static byte[] linuxLikeWithNoteTable(long size) {
        return new ElfBuilder()
                .load(0, 16 * MIB, CODE, 8)
                .raw(4, 0x400, 0, 0, size, size, 4)
                .build();
    }

    private void rejects(byte[] file, String reason) throws IOException {
        Path path = write(file);
        assertThatExceptionOfType(KernelImageException.class)
                .isThrownBy(() -> KernelImage.open(path).close())
                .withMessageContaining(reason)
                .withMessageStartingWith(path.toString());
    }

    private KernelImage open(byte[] file) throws IOException {
        return KernelImage.open(write(file));
    }

    private Path write(byte[] file) throws IOException {
        return Files.write(directory.resolve("kernel"), file);
    }

    private static byte[] patch(byte[] file, int offset, int value) {
        byte[] copy = file.clone();
        copy[offset] = (byte) value;
        return copy;
    }

    private static byte[] concat(byte[]... parts) {
        int length = Arrays.stream(parts).mapToInt(p -> p.length).sum();
        ByteBuffer all = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        for (byte[] part : parts) {
            all.put(part);
        }
        return all.array();
    }
}
