package io.thimble.it.bindings;

import java.io.ByteArrayOutputStream;

/**
 * Assembles the few instructions that the tests' guests consist of. The same opcode means another operand size in
 * another mode: 16 bits in real mode, 32 elsewhere, and prefix 0x66 takes the other one.
 */
final class Asm {
    /** The processor modes that guests run in. */
    enum Mode {
        /** 16-bit. */
        REAL,
        /** 32-bit without paging. */
        PROTECTED,
        /** 64-bit with page tables. */
        LONG
    }

    private final Mode mode;
    private final ByteArrayOutputStream code = new ByteArrayOutputStream();

    Asm(Mode mode) {
        this.mode = mode;
    }

    Mode mode() {
        return mode;
    }

    byte[] toByteArray() {
        return code.toByteArray();
    }

    /** Appends instructions as they are. */
    Asm bytes(int... bytes) {
        for (int b : bytes) {
            code.write(b);
        }
        return this;
    }

    private Asm imm32(int value) {
        return bytes(value, value >> 8, value >> 16, value >> 24);
    }

    /** Appends the prefix of an instruction with operands of {@code size} bytes. */
    private Asm prefix(int size) {
        if (size == 8) {
            return bytes(0x48);
        }
        boolean other = mode == Mode.REAL ? size == 4 : size == 2;
        return other ? bytes(0x66) : this;
    }

    /** Appends an instruction whose opcode for one byte is {@code opcode}, and one more for wider operands. */
    private Asm sized(int size, int opcode) {
        return prefix(size).bytes(size == 1 ? opcode : opcode + 1);
    }

    /** mov dx, port. */
    Asm movDx(int port) {
        return prefix(2).bytes(0xba, port, port >> 8);
    }

    /** mov eax, value. */
    Asm movEax(int value) {
        return prefix(4).bytes(0xb8).imm32(value);
    }

    /** mov ecx, value. */
    Asm movEcx(int value) {
        return prefix(4).bytes(0xb9).imm32(value);
    }

    /** mov edx, value. */
    Asm movEdx(int value) {
        return prefix(4).bytes(0xba).imm32(value);
    }

    /** mov esi, address: where {@link #repOuts} reads. */
    Asm movEsi(int address) {
        return prefix(4).bytes(0xbe).imm32(address);
    }

    /** mov edi, address: where {@link #repIns} and {@link #store} write and {@link #load} reads. */
    Asm movEdi(int address) {
        return prefix(4).bytes(0xbf).imm32(address);
    }

    /** out dx, al / ax / eax. */
    Asm out(int size) {
        return sized(size, 0xee);
    }

    /** in al / ax / eax, dx. */
    Asm in(int size) {
        return sized(size, 0xec);
    }

    /** mov al, value; out port, al. */
    Asm outByte(int port, int value) {
        return bytes(0xb0, value, 0xe6, port);
    }

    /** rep outsb / outsw / outsd. */
    Asm repOuts(int size) {
        return bytes(0xf3).sized(size, 0x6e);
    }

    /** rep insb / insw / insd. */
    Asm repIns(int size) {
        return bytes(0xf3).sized(size, 0x6c);
    }

    /** mov [edi], al / ax / eax / rax. */
    Asm store(int size) {
        return sized(size, 0x88).bytes(atEdi());
    }

    /** mov al / ax / eax / rax, [edi]. */
    Asm load(int size) {
        return sized(size, 0x8a).bytes(atEdi());
    }

    /** The operand byte that says: register A, and memory at EDI (DI in real mode). */
    private int atEdi() {
        return mode == Mode.REAL ? 0x05 : 0x07;
    }

    /** rdmsr. */
    Asm rdmsr() {
        return bytes(0x0f, 0x32);
    }

    /** wrmsr. */
    Asm wrmsr() {
        return bytes(0x0f, 0x30);
    }

    /** ud2. */
    Asm ud2() {
        return bytes(0x0f, 0x0b);
    }

    /** sti. */
    Asm sti() {
        return bytes(0xfb);
    }

    /** hlt. */
    Asm hlt() {
        return bytes(0xf4);
    }

    /** hlt, again and again. */
    Asm hltForEver() {
        return bytes(0xf4, 0xeb, 0xfd);
    }

    /** jmp to itself. */
    Asm spin() {
        return bytes(0xeb, 0xfe);
    }

    /** iret. */
    Asm iret() {
        return bytes(0xcf);
    }
}
