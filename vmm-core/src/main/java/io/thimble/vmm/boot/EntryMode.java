package io.thimble.vmm.boot;

/** In which state the boot CPU enters the loaded image. */
public enum EntryMode {
    /** 16-bit real mode at a given CS:IP. */
    REAL_16,
    /** 32-bit protected mode without paging, flat segments, ESI = zero page (Linux's 32-bit boot protocol). */
    PROTECTED_32,
    /** 32-bit protected mode without paging, flat segments, EBX = {@code hvm_start_info} (PVH). */
    PVH_32,
    /** Long mode with the first 4 GiB mapped one to one, RSI = zero page (Linux's 64-bit boot protocol). */
    LONG_64
}
