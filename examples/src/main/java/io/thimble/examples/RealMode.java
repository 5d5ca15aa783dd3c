package io.thimble.examples;

import io.thimble.vmm.ExitReport;
import io.thimble.vmm.GuestKernel;
import io.thimble.vmm.MicroVm;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Runs a program of a few bytes in 16-bit real mode: it writes a text to the first serial port and ends the VM through
 * the debug-exit port. What a processor does with no operating system at all.
 *
 * <p>{@code examples/run RealMode}
 */
public final class RealMode {
    private static final String TEXT = "Hello from real mode\n";

    /** Behind the program's code, in its segment. */
    private static final int TEXT_OFFSET = 0x20;

    private static final byte[] CODE = {
        (byte) 0x8c,
        (byte) 0xc8, // mov ax, cs
        (byte) 0x8e,
        (byte) 0xd8, // mov ds, ax
        (byte) 0xbe,
        TEXT_OFFSET,
        0, // mov si, text
        (byte) 0xba,
        (byte) 0xf8,
        0x03, // mov dx, 0x3f8 (COM1)
        (byte) 0xb9,
        (byte) TEXT.length(),
        0, // mov cx, length
        (byte) 0xac, // next: lodsb
        (byte) 0xee, // out dx, al
        (byte) 0xe2,
        (byte) 0xfc, // loop next
        (byte) 0xb0,
        42, // mov al, 42
        (byte) 0xe6,
        (byte) 0xf4, // out 0xf4, al (debug exit)
        (byte) 0xf4 // hlt
    };

    private RealMode() {}

    /** Takes no arguments. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        byte[] program = new byte[TEXT_OFFSET + TEXT.length()];
        System.arraycopy(CODE, 0, program, 0, CODE.length);
        System.arraycopy(TEXT.getBytes(StandardCharsets.US_ASCII), 0, program, TEXT_OFFSET, TEXT.length());
        Path file = Files.createTempFile("real-mode", ".bin");
        try {
            Files.write(file, program);
            try (MicroVm vm = MicroVm.builder()
                    .kernel(GuestKernel.realMode(file, 0x1000, 0))
                    .memory(16L << 20)
                    .debugExit(true)
                    .console(System.out)
                    .start()) {
                ExitReport report = vm.await();
                System.out.println(report + ", code " + report.debugExitCode().orElse(-1));
            }
        } finally {
            Files.delete(file);
        }
    }
}
