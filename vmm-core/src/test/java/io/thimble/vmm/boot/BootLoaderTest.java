package io.thimble.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.memory.GuestMemory;
import io.thimble.memory.MemoryRegion;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BootLoaderTest {
    private static final long MIB = 1 << 20;

    @TempDir
    Path directory;

    private final Arena arena = Arena.ofShared();

    @AfterEach
    void close() {
        arena.close();
    }

    private Path elf(byte... notes) throws IOException {
        return Files.write(
                directory.resolve("vmlinux"),
                new ElfBuilder()
                        .load(0xffffffff81000000L, 16 * MIB, new byte[64], 64)
                        .notes(notes)
                        .build());
    }

    private static BootLoader.Request request(KernelImage image, BootProtocol protocol, Initrd initrd, String line)
            throws BootException {
        return new BootLoader.Request(image, protocol, initrd, CommandLine.parse(line), 0xe0000, true);
    }

    @Test
    void gives_an_elf_kernel_a_zero_page() throws IOException {
        GuestMemory memory = TestMemory.ofMebibytes(arena, 40);
        memory.fill(0x7000, 0x1000, (byte) 0x77);
        try (KernelImage image = KernelImage.open(elf());
                Initrd initrd = new Initrd().add("abcde".getBytes(StandardCharsets.US_ASCII))) {
            LoadedKernel kernel = BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, "quiet"));
            assertThat(kernel.mode()).isEqualTo(EntryMode.LONG_64);
            assertThat(kernel.entryPoint()).isEqualTo(16 * MIB);
            assertThat(kernel.bootInfoAddress()).isEqualTo(0x7000);
            assertThat(kernel.initrdAddress()).isEqualTo(40 * MIB - 4096);
            assertThat(kernel.initrdSize()).isEqualTo(5);
            assertThat(kernel.toString()).contains("LONG_64 entry 0x1000000");
        }
        // Offsets as gcc gives them for <asm/bootparam.h>.
        long page = 0x7000;
        assertThat(memory.getLong(page + 0x70)).isEqualTo(0xe0000);
        assertThat(memory.getShort(page + 0x1fe)).isEqualTo((short) 0xaa55);
        assertThat(TestMemory.text(memory, page + 0x202, 4)).isEqualTo("HdrS");
        assertThat(memory.getByte(page + 0x210)).isEqualTo((byte) 0xff);
        assertThat(memory.getByte(page + 0x211)).isEqualTo((byte) 1);
        assertThat(memory.getInt(page + 0x218)).isEqualTo((int) (40 * MIB - 4096));
        assertThat(memory.getInt(page + 0x21c)).isEqualTo(5);
        assertThat(memory.getInt(page + 0x228)).isEqualTo(0x20000);
        assertThat(memory.getInt(page + 0x230)).isEqualTo(0x1000000);
        assertThat(memory.getInt(page + 0x238)).isEqualTo(5);
        assertThat(memory.getInt(page + 0xc0)).isZero();
        assertThat(memory.getInt(page + 0xc4)).isZero();
        assertThat(memory.getInt(page + 0xc8)).isZero();
        assertThat(memory.getByte(page + 0x1ef)).as("sentinel").isZero();
        assertThat(memory.getByte(page + 0x1e8)).isEqualTo((byte) 3);
        assertThat(memory.getLong(page + 0x2d0)).isZero();
        assertThat(memory.getLong(page + 0x2d8)).isEqualTo(0x9fc00);
        assertThat(memory.getInt(page + 0x2e0)).isEqualTo(1);
        assertThat(memory.getLong(page + 0x2d0 + 20)).isEqualTo(0x9fc00);
        assertThat(memory.getInt(page + 0x2d0 + 36)).isEqualTo(2);
        assertThat(memory.getLong(page + 0x2d0 + 40)).isEqualTo(MIB);
        assertThat(memory.getLong(page + 0x2d0 + 48)).isEqualTo(39 * MIB);
        assertThat(TestMemory.text(memory, 0x20000, 6)).isEqualTo("quiet\0");
        assertThat(TestMemory.text(memory, 40 * MIB - 4096, 5)).isEqualTo("abcde");
    }

    @Test
    void gives_a_pvh_kernel_its_start_info() throws IOException {
        GuestMemory memory = TestMemory.ofMebibytes(arena, 40);
        byte[] note = ElfBuilder.note("Xen", 18, new byte[] {0x10, 0, 0, 1});
        try (KernelImage image = KernelImage.open(elf(note));
                Initrd initrd = new Initrd().add(new byte[] {1, 2, 3})) {
            LoadedKernel kernel = BootLoader.load(memory, request(image, BootProtocol.PVH, initrd, "ro"));
            assertThat(kernel.mode()).isEqualTo(EntryMode.PVH_32);
            assertThat(kernel.entryPoint()).isEqualTo(16 * MIB + 0x10);
            assertThat(kernel.bootInfoAddress()).isEqualTo(0x6000);
        }
        assertThat(memory.getInt(0x6000)).isEqualTo(0x336ec578);
        assertThat(memory.getInt(0x6004)).isEqualTo(1);
        assertThat(memory.getInt(0x600c)).isEqualTo(1);
        long module = memory.getLong(0x6010);
        assertThat(memory.getLong(module)).isEqualTo(40 * MIB - 4096);
        assertThat(memory.getLong(module + 8)).isEqualTo(3);
        assertThat(memory.getLong(0x6018)).isEqualTo(0x20000);
        assertThat(memory.getLong(0x6020)).isEqualTo(0xe0000);
        assertThat(memory.getInt(0x6030)).isEqualTo(3);
        long map = memory.getLong(0x6028);
        assertThat(memory.getLong(map + 24)).isEqualTo(0x9fc00);
        assertThat(memory.getLong(map + 24 + 8)).isEqualTo(0x60400);
        assertThat(memory.getInt(map + 24 + 16)).isEqualTo(2);
        assertThat(memory.getLong(map + 48)).isEqualTo(MIB);
    }

    @Test
    void gives_a_bzimage_its_own_setup_header() throws IOException {
        ByteBuffer file = ByteBuffer.allocate(0x2000).order(ByteOrder.LITTLE_ENDIAN);
        file.put(0x1f1, (byte) 1)
                .putInt(0x1f4, 0x10)
                .putShort(0x1fe, (short) 0xaa55)
                .put(0x201, (byte) 0x6a);
        file.put(0x202, new byte[] {'H', 'd', 'r', 'S'})
                .putShort(0x206, (short) 0x20f)
                .put(0x211, (byte) 1);
        file.putInt(0x22c, (int) (32 * MIB - 1)).putInt(0x230, 0x200000).put(0x234, (byte) 1);
        file.putShort(0x236, (short) 1).putInt(0x238, 2047).putLong(0x250, 99).putLong(0x258, 0x400000);
        file.putInt(0x260, 0x10000).putInt(0x268, 0xabcdef).putInt(0x26c, -1);
        Path path = Files.write(directory.resolve("bzImage"), file.array());
        GuestMemory memory = TestMemory.ofMebibytes(arena, 40);
        try (KernelImage image = KernelImage.open(path);
                Initrd initrd = new Initrd().add(new byte[4097])) {
            LoadedKernel kernel = BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, "ro"));
            assertThat(kernel.initrdAddress()).isEqualTo(32 * MIB - 8192);
            assertThat(kernel.entryPoint()).isEqualTo(0x400200);
        }
        assertThat(memory.getByte(0x7000 + 0x210)).isEqualTo((byte) 0xff);
        assertThat(memory.getInt(0x7000 + 0x214)).isEqualTo(0x400000);
        assertThat(memory.getLong(0x7000 + 0x250)).as("setup_data").isZero();
        assertThat(memory.getInt(0x7000 + 0x268)).isEqualTo(0xabcdef);
        assertThat(memory.getInt(0x7000 + 0x26c)).as("behind the header").isZero();
        assertThat(memory.getInt(0x7000 + 0x218)).isEqualTo((int) (32 * MIB - 8192));
        assertThat(memory.getByte(0x7000 + 0x1e8)).isEqualTo((byte) 3);
    }

    @Test
    void enters_a_flat_binary_in_real_mode_at_cs_ip() throws IOException {
        Path path = Files.write(directory.resolve("flat"), new byte[] {1, 2, 3, 4});
        GuestMemory memory = GuestMemory.of(new MemoryRegion(0, arena.allocate(0x10000, 4096)));
        try (KernelImage image = FlatBinary.openRealMode(path, 0x100, 2);
                Initrd initrd = new Initrd()) {
            LoadedKernel kernel = BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, ""));
            assertThat(kernel).isEqualTo(new LoadedKernel(EntryMode.REAL_16, 2, 0x100, 0, 0x1000, 0x1004, 0, 0));
            assertThat(memory.getInt(0x1000)).isEqualTo(0x04030201);
            assertThatExceptionOfType(BootException.class)
                    .isThrownBy(() -> BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, "quiet")));
        }
    }

    @Test
    void rejects_flat_binaries_that_do_not_fit() throws IOException {
        Path path = Files.write(directory.resolve("flat"), new byte[0x20]);
        assertThatExceptionOfType(BootException.class).isThrownBy(() -> FlatBinary.openRealMode(path, 0x10000, 0));
        assertThatExceptionOfType(BootException.class).isThrownBy(() -> FlatBinary.openRealMode(path, 0xffff, 0));
        assertThatExceptionOfType(BootException.class).isThrownBy(() -> FlatBinary.openRealMode(path, 0, 0x20));
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> FlatBinary.open(path, EntryMode.LONG_64, 0xfffffff0L, 0xfffffff0L));
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> FlatBinary.open(path, EntryMode.LONG_64, -1, -1));
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> FlatBinary.open(path, EntryMode.PROTECTED_32, 0x1000, 0xfff));
    }

    @Test
    void joins_initrd_parts_at_multiples_of_four() throws IOException {
        Path file = Files.write(directory.resolve("initrd"), new byte[] {1, 2, 3, 4, 5});
        GuestMemory memory = TestMemory.ofMebibytes(arena, 40);
        memory.fill(39 * MIB, MIB, (byte) 0x66);
        try (KernelImage image = KernelImage.open(elf());
                Initrd initrd = new Initrd().add(file).add(new byte[] {6, 7}).add(new byte[] {8})) {
            assertThat(initrd.size()).isEqualTo(13);
            BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, ""));
        }
        assertThat(TestMemory.bytes(memory, 40 * MIB - 4096, 14))
                .containsExactly(1, 2, 3, 4, 5, 0, 0, 0, 6, 7, 0, 0, 8, 0x66);
    }

    @Test
    void reads_a_file_across_two_regions() throws IOException {
        byte[] contents = new byte[0x3000];
        new java.util.SplittableRandom(5).nextBytes(contents);
        Path file = Files.write(directory.resolve("initrd"), contents);
        GuestMemory memory = GuestMemory.of(
                new MemoryRegion(0, arena.allocate(40 * MIB - 0x2000, 4096)),
                new MemoryRegion(40 * MIB - 0x2000, arena.allocate(0x2000, 4096)));
        try (KernelImage image = KernelImage.open(elf());
                Initrd initrd = new Initrd().add(file)) {
            LoadedKernel kernel = BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, ""));
            assertThat(kernel.initrdAddress()).isEqualTo(40 * MIB - 0x3000);
        }
        assertThat(TestMemory.bytes(memory, 40 * MIB - 0x3000, 0x3000)).isEqualTo(contents);
    }

    @Test
    void rejects_too_little_memory_with_the_figure() throws IOException {
        try (KernelImage image = KernelImage.open(elf());
                Initrd initrd = new Initrd().add(new byte[4 << 20])) {
            // 16 MiB + 64 bytes of kernel, twice 4 MiB of initrd, 8 MiB in reserve
            assertThat(MemoryNeeds.minimum(image, initrd.size())).isEqualTo(33 * MIB);
            assertThatExceptionOfType(InsufficientMemoryException.class)
                    .isThrownBy(() -> BootLoader.load(
                            TestMemory.ofMebibytes(arena, 32), request(image, BootProtocol.LINUX, initrd, "")))
                    .withMessageContaining("at least 33 MiB")
                    .withMessageContaining("only 32 MiB")
                    .satisfies(e -> assertThat(e.required()).isEqualTo(33 * MIB));
            BootLoader.load(TestMemory.ofMebibytes(arena, 33), request(image, BootProtocol.LINUX, initrd, ""));
        }
    }

    @Test
    void rejects_an_initrd_that_does_not_fit_above_the_kernel() throws IOException {
        GuestMemory memory = GuestMemory.of(
                new MemoryRegion(0, arena.allocate(17 * MIB, 4096)),
                new MemoryRegion(1L << 32, arena.allocate(17 * MIB, 4096)));
        try (KernelImage image = KernelImage.open(elf());
                Initrd initrd = new Initrd().add(new byte[1 << 20])) {
            assertThatExceptionOfType(InsufficientMemoryException.class)
                    .isThrownBy(() -> BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, "")))
                    .withMessageContaining("initrd of 1048576 bytes");
        }
    }

    @Test
    void rejects_pvh_without_a_pvh_entry() throws IOException {
        try (KernelImage image = KernelImage.open(elf());
                Initrd initrd = new Initrd()) {
            assertThatExceptionOfType(BootException.class)
                    .isThrownBy(() -> BootLoader.load(
                            TestMemory.ofMebibytes(arena, 40), request(image, BootProtocol.PVH, initrd, "")))
                    .withMessageContaining("CONFIG_PVH");
        }
    }

    @Test
    void maps_memory_around_the_hole() {
        GuestMemory memory = GuestMemory.of(
                new MemoryRegion(0, arena.allocate(2 * MIB, 4096)),
                new MemoryRegion(1L << 32, arena.allocate(MIB, 4096)));
        assertThat(E820.of(memory).entries())
                .isEqualTo(List.of(
                        new E820.Entry(0, 0x9fc00, 1),
                        new E820.Entry(0x9fc00, 0x60400, 2),
                        new E820.Entry(MIB, MIB, 1),
                        new E820.Entry(1L << 32, MIB, 1)));
    }

    @ParameterizedTest
    @CsvSource({
        "fd377a585a00, unxz",
        "28b52ffd, unzstd",
        "04224d18, unlz4",
        "02214c18, unlz4",
        "5d00000080, unlzma",
        "425a6839, bunzip2",
        "894c5a4f000d0a, lzop",
        "27051956, U-Boot",
        "4d5a000000000000, PE file",
        "4d5a00007a696d67, zboot",
        "4d5a0000000000002e6c696e75780000, unified kernel image",
        "00, neither"
    })
    void names_what_a_file_is_that_is_no_kernel(String start, String remedy) throws IOException {
        Path path = Files.write(directory.resolve("vmlinuz"), HexFormat.of().parseHex(start));
        assertThatExceptionOfType(KernelImageException.class)
                .isThrownBy(() -> KernelImage.open(path).close())
                .withMessageContaining(remedy);
    }

    @ParameterizedTest
    @CsvSource({"41524d64, arm64", "52534305, RISC-V"})
    void names_kernels_for_other_processors(String magic, String processor) throws IOException {
        byte[] image = new byte[0x40];
        System.arraycopy(HexFormat.of().parseHex(magic), 0, image, 0x38, 4);
        image[0] = 'M';
        image[1] = 'Z';
        Path path = Files.write(directory.resolve("Image"), image);
        assertThatExceptionOfType(KernelImageException.class)
                .isThrownBy(() -> KernelImage.open(path).close())
                .withMessageContaining(processor);
    }

    @Test
    void names_files_that_cannot_be_read() throws IOException {
        Path empty = Files.createFile(directory.resolve("empty"));
        Path missing = directory.resolve("missing");
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> KernelImage.open(missing).close())
                .withMessage(missing + ": no such kernel");
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> KernelImage.open(directory).close())
                .withMessageContaining("regular file");
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> KernelImage.open(empty).close())
                .withMessageContaining("empty file");
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> new Initrd().add(missing).close())
                .withMessage(missing + ": no such initrd");
    }

    @Test
    void rejects_files_truncated_after_they_were_opened() throws IOException {
        Path kernel = elf();
        Path archive = Files.write(directory.resolve("initrd"), new byte[100]);
        GuestMemory memory = TestMemory.ofMebibytes(arena, 40);
        try (KernelImage image = KernelImage.open(kernel);
                Initrd initrd = new Initrd().add(archive)) {
            Files.write(archive, new byte[10]);
            assertThatExceptionOfType(BootException.class)
                    .isThrownBy(() -> BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, "")))
                    .withMessageContaining("truncated");
            Files.write(kernel, new byte[10]);
            assertThatExceptionOfType(KernelImageException.class)
                    .isThrownBy(() -> BootLoader.load(memory, request(image, BootProtocol.LINUX, initrd, "")))
                    .withMessageContaining("truncated");
        }
    }
}
