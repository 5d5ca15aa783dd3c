package io.thimble.it.vm;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.it.HostKvm;
import io.thimble.it.RequiresKvm;
import io.thimble.it.support.ConsoleText;
import io.thimble.it.support.GuestProgram;
import io.thimble.it.support.GuestProgram.Mode;
import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A bzImage is entered where its header says. Its program is ours, so that this takes no decompressor, which needs half a
 * minute on kvm-pvm. Offsets from Documentation/arch/x86/boot.rst.
 */
@RequiresKvm
@Timeout(60)
class BzImageIT {
    private static final Duration LIMIT = HostKvm.patience(Duration.ofSeconds(20));
    private static final int SECTOR = 512;
    private static final int ENTRY_64 = 0x200;
    private static final int XLF_KERNEL_64 = 1;
    private static final String PARAMETER = "entered";

    @TempDir
    private Path directory;

    /**
     * Prints which entry was taken and the end of the command line, by way of the zero page in RSI, whose
     * {@code cmd_line_ptr} and {@code cmdline_size} it reads, and ends with the entry's number.
     */
    private static byte[] program(Mode mode, int entry) {
        GuestProgram program = new GuestProgram(mode).print(entry + " ");
        program.bytes(0x8b, 0x9e, 0x28, 0x02, 0, 0); // MOV EBX, [RSI + 0x228]: hdr.cmd_line_ptr
        int loop = program.here();
        program.bytes(0x8a, 0x03).outAl(GuestProgram.COM1); // MOV AL, [RBX]; OUT
        program.bytes(0x83, 0xc3, 0x01); // ADD EBX, 1
        program.bytes(0x80, 0x3b, 0x00).jumpIfNotZero(loop); // CMP BYTE [RBX], 0
        return program.debugExit(entry).toBytes();
    }

    private Path bzImage(boolean has64) throws IOException {
        byte[] protectedMode = program(Mode.PROTECTED, 32);
        byte[] longMode = program(Mode.LONG, 64);
        int payload = 6 * SECTOR;
        ByteBuffer image = ByteBuffer.allocate(2 * SECTOR + payload).order(ByteOrder.LITTLE_ENDIAN);
        image.put(0x1f1, (byte) 1); // setup_sects
        image.putInt(0x1f4, payload / 16); // syssize
        image.putShort(0x1fe, (short) 0xaa55); // boot_flag
        image.put(0x200, (byte) 0xeb).put(0x201, (byte) (0x268 - 0x202)); // jump over the header
        image.putInt(0x202, 0x53726448); // "HdrS"
        image.putShort(0x206, (short) 0x20f); // version
        image.put(0x211, (byte) 1); // loadflags: LOADED_HIGH
        image.putInt(0x22c, 0x7fff_ffff); // initrd_addr_max
        image.putInt(0x230, 0x20_0000); // kernel_alignment
        image.put(0x234, (byte) 1); // relocatable_kernel
        image.putShort(0x236, (short) (has64 ? XLF_KERNEL_64 : 0)); // xloadflags
        image.putInt(0x238, 2047); // cmdline_size
        image.putLong(0x258, 0x100_0000); // pref_address
        image.putInt(0x260, 0x10_0000); // init_size
        assertThat(protectedMode.length).isLessThan(ENTRY_64);
        image.put(2 * SECTOR, protectedMode);
        image.put(2 * SECTOR + ENTRY_64, longMode);
        return Files.write(Files.createTempFile(directory, "program", ".bzImage"), image.array());
    }

    private void assertEntered(boolean has64, int entry) throws Exception {
        ConsoleText console = new ConsoleText();
        try (MicroVm vm = MicroVm.builder()
                .kernel(GuestKernel.file(bzImage(has64)))
                .noInitrd()
                .append(PARAMETER)
                .debugExit(true)
                .console(console)
                .start()) {
            ExitReport report = vm.await(LIMIT).orElseThrow();
            assertThat(report.debugExitCode()).as(report.describe()).hasValue(entry);
            assertThat(console.bytes())
                    .asString(StandardCharsets.US_ASCII)
                    .startsWith(entry + " console=ttyS0 ")
                    .endsWith(" " + PARAMETER);
        }
    }

    @Test
    void with_a_64_bit_entry_it_is_entered_there_in_long_mode() throws Exception {
        assertEntered(true, 64);
    }

    @Test
    void without_one_it_is_entered_at_its_start_in_protected_mode() throws Exception {
        assertEntered(false, 32);
    }
}
