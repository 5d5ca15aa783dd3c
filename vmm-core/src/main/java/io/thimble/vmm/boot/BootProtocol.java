package io.thimble.vmm.boot;

/** How an ELF kernel is to be entered, where it offers both. */
public enum BootProtocol {
    /** Linux's own: the ELF entry point in long mode with a zero page. */
    LINUX,
    /** Xen's PVH: the entry point of the note XEN_ELFNOTE_PHYS32_ENTRY in 32-bit mode with {@code hvm_start_info}. */
    PVH
}
