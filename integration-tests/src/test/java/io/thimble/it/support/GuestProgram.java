package io.thimble.it.support;

import io.thimble.vmm.GuestKernel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A small guest program, put together from the few instructions that tests need. Opcodes as in the Intel SDM volume 2;
 * the operand size is the mode's, so the same calls make 16-, 32- and 64-bit code.
 *
 * <p>Only instructions that KVM's emulator knows: on kvm-pvm all of a flat program runs in it.
 */
public final class GuestProgram {
    /** Where protected-mode and long-mode programs are loaded and entered. */
    public static final long ADDRESS = 0x10_0000;

    /** CS of real-mode programs, which are loaded at 0x10000 and entered at their first byte. */
    public static final int SEGMENT = 0x1000;

    /** Data port of the first serial port. */
    public static final int COM1 = 0x3f8;

    private static final int COM1_MCR = COM1 + 4;
    private static final int COM1_LSR = COM1 + 5;
    private static final int DEBUG_EXIT = 0xf4;

    /** The processor's mode. */
    public enum Mode {
        /** 16 bits. */
        REAL,
        /** 32 bits, flat segments, no paging. */
        PROTECTED,
        /** 64 bits. */
        LONG
    }

    private final Mode mode;
    private final ByteArrayOutputStream code = new ByteArrayOutputStream();

    /** Begins an empty program. */
    public GuestProgram(Mode mode) {
        this.mode = mode;
    }

    /** Returns the offset of the next instruction. */
    public int here() {
        return code.size();
    }

    /** Adds bytes as they are. */
    public GuestProgram bytes(int... values) {
        for (int value : values) {
            code.write(value);
        }
        return this;
    }

    private GuestProgram little(long value, int size) {
        for (int i = 0; i < size; i++) {
            code.write((int) (value >>> (8 * i)));
        }
        return this;
    }

    /** MOV DX, port. */
    private GuestProgram port(int port) {
        if (mode != Mode.REAL) {
            bytes(0x66);
        }
        return bytes(0xba).little(port, 2);
    }

    /** Writes a byte to a port. */
    public GuestProgram outb(int port, int value) {
        return port(port).bytes(0xb0, value, 0xee); // MOV AL, value; OUT DX, AL
    }

    /** Writes AL to a port. */
    public GuestProgram outAl(int port) {
        return port(port).bytes(0xee);
    }

    /** Writes a 16-bit word to a port. */
    public GuestProgram outw(int port, int value) {
        port(port);
        if (mode != Mode.REAL) {
            bytes(0x66);
        }
        bytes(0xb8).little(value, 2); // MOV AX, value
        if (mode != Mode.REAL) {
            bytes(0x66);
        }
        return bytes(0xef); // OUT DX, AX
    }

    /** Prints on the console, without waiting for room: the UART has always some. */
    public GuestProgram print(String text) {
        port(COM1);
        for (byte b : text.getBytes(StandardCharsets.ISO_8859_1)) {
            bytes(0xb0, b, 0xee);
        }
        return this;
    }

    /** Sets RTS, without which the UART takes no input. */
    public GuestProgram listen() {
        return outb(COM1_MCR, 0x02);
    }

    /** Waits for a character on the console, after {@link #listen}; it is in AL then. */
    public GuestProgram readConsole() {
        int loop = port(COM1_LSR).here();
        bytes(0xec, 0xa8, 0x01); // IN AL, DX; TEST AL, UART_LSR_DR
        jumpIfZero(loop);
        return port(COM1).bytes(0xec);
    }

    /** Compares AL. */
    public GuestProgram compareAl(int value) {
        return bytes(0x3c, value);
    }

    /** JZ, to an offset at most 128 bytes away. */
    public GuestProgram jumpIfZero(int target) {
        return shortJump(0x74, target);
    }

    /** JNZ, to an offset at most 128 bytes away. */
    public GuestProgram jumpIfNotZero(int target) {
        return shortJump(0x75, target);
    }

    /** JMP, to an offset at most 128 bytes away. */
    public GuestProgram jump(int target) {
        return shortJump(0xeb, target);
    }

    private GuestProgram shortJump(int opcode, int target) {
        int distance = target - (here() + 2);
        if (distance < Byte.MIN_VALUE || distance > Byte.MAX_VALUE) {
            throw new IllegalArgumentException("a short jump of " + distance);
        }
        return bytes(opcode, distance);
    }

    /** Spins for ever. */
    public GuestProgram spin() {
        return jump(here());
    }

    /** Spins for ever, counting in the 32-bit word at an address below 64 KiB. */
    public GuestProgram countForEver(int address) {
        int loop = here();
        switch (mode) {
            case REAL -> bytes(0x66, 0xff, 0x06).little(address, 2); // INC DWORD [address]
            case PROTECTED -> bytes(0xff, 0x05).little(address, 4);
            case LONG -> bytes(0xff, 0x04, 0x25).little(address, 4);
        }
        return jump(loop);
    }

    /** Halts with interrupts off: nothing of the guest's can wake it. */
    public GuestProgram haltForEver() {
        return bytes(0xfa, 0xf4); // CLI; HLT
    }

    /** Ends the VM through the debug-exit port. */
    public GuestProgram debugExit(int code) {
        return outb(DEBUG_EXIT, code).haltForEver();
    }

    /** Takes an exception without a handler, which shuts the processor down. */
    public GuestProgram tripleFault() {
        if (mode == Mode.REAL) {
            // KVM's emulator has exceptions in protected mode only. The other modes begin with an IDT too short for a
            // handler.
            int descriptor = here() + 6 + 3 + 2 + 3 + 5 + 2;
            bytes(0x2e, 0x0f, 0x01, 0x1e).little(descriptor, 2); // LIDT CS:[descriptor], limit 0
            bytes(0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0); // MOV EAX, CR0; OR AL, X86_CR0_PE; MOV CR0, EAX
            bytes(0xb8, 0x34, 0x12, 0x8e, 0xd8); // MOV AX, 0x1234; MOV DS, AX: no such segment
        }
        return bytes(0x0f, 0x0b).little(0, 6); // UD2
    }

    /** Returns the machine code. */
    public byte[] toBytes() {
        return code.toByteArray();
    }

    /** Writes the program to a file and returns it as something to start. */
    public GuestKernel in(Path directory) {
        return in(directory, ADDRESS);
    }

    /** Likewise, loaded at an address of the caller's, which real-mode programs ignore. */
    public GuestKernel in(Path directory, long address) {
        Path file;
        try {
            file = Files.createTempFile(directory, "program", ".bin");
            Files.write(file, toBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return switch (mode) {
            case REAL -> GuestKernel.realMode(file, SEGMENT, 0);
            case PROTECTED -> GuestKernel.protectedMode(file, address);
            case LONG -> GuestKernel.longMode(file, address);
        };
    }
}
