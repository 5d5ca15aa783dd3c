package io.thimble.vmm.x86.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.thimble.linux.Programs;
import io.thimble.memory.GuestMemory;
import io.thimble.vmm.boot.TestMemory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AcpiTablesTest {
    private static final List<VirtioMmioDevice> DEVICES =
            List.of(new VirtioMmioDevice(0xd0000000L, 0x1000, 5), new VirtioMmioDevice(0xd0001000L, 0x200, 23));

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 254})
    void can_be_followed_from_the_rsdp_with_right_checksums(int cpus) {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            long rsdp = AcpiTables.write(memory, cpus, DEVICES);
            assertThat(rsdp).isEqualTo(0xe0000);
            assertThat(TestMemory.text(memory, rsdp, 8)).isEqualTo("RSD PTR ");
            assertThat(TestMemory.checksum(memory, rsdp, 20)).isZero();
            assertThat(TestMemory.checksum(memory, rsdp, 36)).isZero();
            assertThat(memory.getByte(rsdp + 15)).isEqualTo((byte) 2);
            long xsdt = memory.getLong(rsdp + 24);
            assertThat(table(memory, xsdt)).isEqualTo("XSDT");
            assertThat(memory.getInt(xsdt + 4)).isEqualTo(36 + 2 * 8);
            long fadt = memory.getLong(xsdt + 36);
            long madt = memory.getLong(xsdt + 44);
            assertThat(table(memory, fadt)).isEqualTo("FACP");
            assertThat(table(memory, madt)).isEqualTo("APIC");
            assertThat(table(memory, memory.getLong(fadt + 140))).isEqualTo("DSDT");
            assertThat(memory.getInt(fadt + 40)).isEqualTo((int) memory.getLong(fadt + 140));
            long facs = memory.getInt(fadt + 36);
            assertThat(TestMemory.text(memory, facs, 4)).isEqualTo("FACS");
            assertThat(facs % 64).isZero();
            assertThat(memory.getInt(madt + 4)).isEqualTo(44 + 8 * cpus + 12 + 20 + 6);
            assertThat(TestMemory.bytes(memory, 0xf0000, 0x10000)).containsOnly(0);
        }
    }

    @Test
    void describes_the_fixed_hardware() {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            long fadt = memory.getLong(memory.getLong(AcpiTables.write(memory, 1, DEVICES) + 24) + 36);
            assertThat(memory.getInt(fadt + 4)).isEqualTo(276);
            assertThat(memory.getShort(fadt + 46)).as("SCI_INT").isEqualTo((short) 9);
            assertThat(memory.getInt(fadt + 48)).as("SMI_CMD").isZero();
            assertThat(memory.getInt(fadt + 56)).as("PM1a_EVT_BLK").isEqualTo(0x600);
            assertThat(memory.getInt(fadt + 64)).as("PM1a_CNT_BLK").isEqualTo(0x604);
            assertThat(memory.getShort(fadt + 88)).as("lengths").isEqualTo((short) 0x0204);
            assertThat(memory.getShort(fadt + 109)).as("IAPC_BOOT_ARCH").isEqualTo((short) 7);
            int flags = memory.getInt(fadt + 112);
            assertThat(flags & 1 << 4).as("PWR_BUTTON: a fixed one").isZero();
            assertThat(flags & 1 << 10).as("RESET_REG_SUP").isNotZero();
            assertThat(flags & 1 << 20).as("HW_REDUCED_ACPI").isZero();
            assertThat(memory.getInt(fadt + 116)).as("RESET_REG: I/O, 8 bits").isEqualTo(0x01000801);
            assertThat(memory.getLong(fadt + 120)).isEqualTo(0xcf9);
            assertThat(memory.getByte(fadt + 128)).isEqualTo((byte) 6);
            assertThat(memory.getLong(fadt + 152)).isEqualTo(0x600);
            assertThat(memory.getLong(fadt + 176)).isEqualTo(0x604);
        }
    }

    @Test
    void lists_cpus_and_interrupts() {
        try (Arena arena = Arena.ofShared()) {
            GuestMemory memory = TestMemory.ofMebibytes(arena, 1);
            long madt = memory.getLong(memory.getLong(AcpiTables.write(memory, 2, List.of()) + 24) + 44);
            assertThat(memory.getInt(madt + 36)).isEqualTo(0xfee00000);
            assertThat(TestMemory.bytes(memory, madt + 44, 8 + 8 + 12 + 10 + 10 + 6))
                    .isEqualTo(new byte[] {
                        0,
                        8,
                        0,
                        0,
                        1,
                        0,
                        0,
                        0,
                        0,
                        8,
                        1,
                        1,
                        1,
                        0,
                        0,
                        0,
                        1,
                        12,
                        2,
                        0,
                        0,
                        0,
                        (byte) 0xc0,
                        (byte) 0xfe,
                        0,
                        0,
                        0,
                        0,
                        2,
                        10,
                        0,
                        0,
                        2,
                        0,
                        0,
                        0,
                        0,
                        0,
                        2,
                        10,
                        0,
                        9,
                        9,
                        0,
                        0,
                        0,
                        0xd,
                        0,
                        4,
                        6,
                        (byte) 0xff,
                        0,
                        0,
                        1
                    });
        }
    }

    @Test
    void rejects_too_many_cpus_and_devices() {
        assertThatIllegalArgumentException().isThrownBy(() -> AcpiTables.build(0, DEVICES));
        assertThatIllegalArgumentException().isThrownBy(() -> AcpiTables.build(255, DEVICES));
        List<VirtioMmioDevice> many = IntStream.range(0, 2000)
                .mapToObj(i -> new VirtioMmioDevice(0xd0000000L + i * 0x1000L, 0x1000, 5))
                .toList();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AcpiTables.build(1, many))
                .withMessageContaining("2000 virtio-mmio devices");
        assertThatIllegalArgumentException().isThrownBy(() -> new VirtioMmioDevice(0xfffff001L, 0x1000, 5));
        assertThatIllegalArgumentException().isThrownBy(() -> new VirtioMmioDevice(0xd0000000L, 0x1000, 24));
    }

    /** ACPICA reads each table without a complaint, and what it compiles from its own reading is the same again. */
    @Test
    void passes_acpicas_disassembler_and_compiler(@TempDir Path directory) throws Exception {
        assumeTrue(Programs.find("iasl").isPresent(), "iasl is not installed (package acpica-tools)");
        for (AcpiTables.Placed table : AcpiTables.build(3, DEVICES)) {
            if (table.name().equals("RSDP")) {
                continue; // iasl takes tables with the standard header (and FACS) only
            }
            String name = table.name().toLowerCase(java.util.Locale.ROOT);
            Path binary = Files.write(directory.resolve(name + ".dat"), table.bytes());
            String disassembly = run(directory, "iasl", "-d", binary.toString());
            assertThat(disassembly).doesNotContainIgnoringCase("error").doesNotContainIgnoringCase("incorrect");
            Path source = directory.resolve(name + ".dsl");
            assertThat(source).exists();
            assertThat(Files.readString(source)).doesNotContainIgnoringCase("incorrect checksum");
            String compilation = run(
                    directory, "iasl", "-p", directory.resolve("new_" + name).toString(), source.toString());
            assertThat(compilation).contains("0 Errors, 0 Warnings");
            byte[] compiled = Files.readAllBytes(directory.resolve("new_" + name + ".aml"));
            int header = table.name().equals("FACS") ? 0 : AcpiTable.SIZEOF_HEADER;
            assertThat(Arrays.copyOfRange(compiled, header, compiled.length))
                    .as(name)
                    .isEqualTo(Arrays.copyOfRange(table.bytes(), header, table.bytes().length));
        }
        assertThat(Files.readString(directory.resolve("dsdt.dsl")))
                .contains("EisaId (\"PNP0501\")", "EisaId (\"PNP0303\")", "EisaId (\"PNP0B00\")", "\"QEMU0001\"")
                .contains("\"LNRO0005\"", "0xD0001000", "0x00000017", "Name (_S5");
    }

    private static String table(GuestMemory memory, long address) {
        assertThat(address % 16).isZero();
        assertThat(TestMemory.checksum(memory, address, memory.getInt(address + 4)))
                .isZero();
        return TestMemory.text(memory, address, 4);
    }

    private static String run(Path directory, String... command) throws IOException, InterruptedException {
        Path log = Files.createTempFile(directory, "iasl", ".log");
        Process process = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            assertThat(process.waitFor(30, TimeUnit.SECONDS))
                    .as("iasl ends in time")
                    .isTrue();
        } finally {
            process.destroyForcibly();
        }
        String output = Files.readString(log, StandardCharsets.UTF_8);
        assertThat(process.exitValue()).as(output).isZero();
        return output;
    }
}
