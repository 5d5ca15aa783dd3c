package io.thimble.vmm.boot;

/**
 * Layout of an ELF64 file: offsets in {@code Elf64_Ehdr} and {@code Elf64_Phdr}, and the values that matter here. Source:
 * linux/elf.h, the System V ABI's x86-64 supplement, and Xen's public/elfnote.h.
 */
final class Elf {
    static final int EI_CLASS = 4;
    static final int EI_DATA = 5;
    static final byte ELFCLASS64 = 2;
    static final byte ELFDATA2LSB = 1;

    static final int SIZEOF_EHDR = 64;
    static final int E_TYPE = 16;
    static final int E_MACHINE = 18;
    static final int E_ENTRY = 24;
    static final int E_PHOFF = 32;
    static final int E_PHENTSIZE = 54;
    static final int E_PHNUM = 56;

    static final short ET_EXEC = 2;
    static final short ET_DYN = 3;
    static final short EM_X86_64 = 62;

    static final int SIZEOF_PHDR = 56;
    static final int P_TYPE = 0;
    static final int P_OFFSET = 8;
    static final int P_VADDR = 16;
    static final int P_PADDR = 24;
    static final int P_FILESZ = 32;
    static final int P_MEMSZ = 40;
    static final int P_ALIGN = 48;

    static final int PT_LOAD = 1;
    static final int PT_NOTE = 4;

    /** {@code sizeof(Elf64_Nhdr)}. */
    static final int SIZEOF_NHDR = 12;
    /** More than any kernel's notes; bounds what is read from a damaged file. */
    static final int MAX_NOTE_TABLE = 1 << 20;
    /** The note, named "Xen", whose descriptor is the physical address of the 32-bit PVH entry point. */
    static final int XEN_ELFNOTE_PHYS32_ENTRY = 18;

    private Elf() {}
}
