package io.thimble.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.thimble.memory.GuestMemory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RawKernelTest {
    private static final long MIB = 1 << 20;

    @TempDir
    Path directory;

    private Path image() throws IOException {
        byte[] bytes = new byte[0x2000];
        bytes[0] = 'k';
        bytes[0x1fff] = 'e';
        return Files.write(directory.resolve("raw"), bytes);
    }

    @Test
    void enters_by_the_64_bit_protocol_with_a_zero_page() throws IOException {
        try (Arena arena = Arena.ofShared();
                KernelImage image = RawKernel.open(image(), 2 * MIB, 2 * MIB + 0x123);
                Initrd initrd = new Initrd().add(new byte[] {1, 2, 3})) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 20);
            LoadedKernel loaded = BootLoader.load(
                    memory,
                    new BootLoader.Request(
                            image, BootProtocol.LINUX, initrd, CommandLine.parse("console=hvc0"), 0, true));
            assertThat(loaded.mode()).isEqualTo(EntryMode.LONG_64);
            assertThat(loaded.entryPoint()).isEqualTo(2 * MIB + 0x123);
            assertThat(loaded.bootInfoAddress()).isEqualTo(0x7000);
            assertThat(loaded.initrdSize()).isEqualTo(3);
            assertThat(TestMemory.text(memory, 0x7202, 4)).isEqualTo("HdrS");
            assertThat(memory.getByte(2 * MIB)).isEqualTo((byte) 'k');
            assertThat(memory.getByte(2 * MIB + 0x1fff)).isEqualTo((byte) 'e');
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0xff000, 0xff000, 1 MiB to 3 GiB",
        "0x200001, 0x200001, multiple of 4 KiB",
        "0xc0000000, 0xc0000000, 1 MiB to 3 GiB",
        "-4096, -4096, 1 MiB to 3 GiB",
        "0xbffff000, 0xbffff000, do not fit",
        "0x200000, 0x1fffff, not inside",
        "0x200000, 0x202000, not inside",
        "0x200000, -1, not inside",
    })
    void refuses_addresses_that_cannot_be(long loadAddress, long entry, String reason) throws IOException {
        Path image = image();
        assertThatExceptionOfType(KernelImageException.class)
                .isThrownBy(() -> RawKernel.open(image, loadAddress, entry).close())
                .withMessageStartingWith(image.toString())
                .withMessageContaining(reason);
    }

    @Test
    void needs_memory_up_to_its_end() throws IOException {
        try (Arena arena = Arena.ofShared();
                KernelImage image = RawKernel.open(image(), 16 * MIB, 16 * MIB)) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 16);
            assertThatExceptionOfType(InsufficientMemoryException.class).isThrownBy(() -> image.load(memory, true));
        }
    }

    @Test
    void takes_a_kernel_that_lies_in_this_process_and_closes_its_owner_once() throws IOException {
        AtomicInteger closed = new AtomicInteger();
        try (Arena arena = Arena.ofShared()) {
            MemorySegment bytes = arena.allocateFrom("kernel", StandardCharsets.US_ASCII);
            try (RawKernel kernel = RawKernel.of("lib", bytes, closed::incrementAndGet, MIB, MIB)) {
                GuestMemory memory = TestMemory.ofMebibytes(arena, 2);
                kernel.load(memory, true);
                assertThat(TestMemory.text(memory, MIB, 6)).isEqualTo("kernel");
                assertThat(closed).hasValue(0);
            }
            assertThat(closed).hasValue(1);
            assertThatExceptionOfType(KernelImageException.class)
                    .isThrownBy(() -> RawKernel.of("lib", bytes, closed::incrementAndGet, 0, 0));
            assertThat(closed).hasValue(2);
        }
    }

    @Test
    void a_missing_or_wrong_libkrunfw_names_the_package() throws IOException {
        Path text = Files.writeString(directory.resolve("libkrunfw.so.5"), "not a library");
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> Krunfw.open(Optional.of(text)))
                .withMessageContaining("not a shared library")
                .withMessageContaining("package libkrunfw5");
        assertThatExceptionOfType(BootException.class)
                .isThrownBy(() -> Krunfw.open(Optional.of(directory.resolve("none"))))
                .withMessageContaining("no such library")
                .withMessageContaining("package libkrunfw5");
        Path libc = Path.of("/lib/x86_64-linux-gnu/libm.so.6");
        if (Files.exists(libc)) {
            assertThatExceptionOfType(BootException.class)
                    .isThrownBy(() -> Krunfw.open(Optional.of(libc)))
                    .withMessageContaining("no function krunfw_get_kernel");
        }
    }
}
