/**
 * Brings a kernel, its initrd, its command line and its boot information into guest memory. Functions over {@link
 * io.thimble.memory.GuestMemory} and files: no KVM, no state. The CPU registers are set by the {@code x86} package from
 * the {@link io.thimble.vmm.boot.LoadedKernel} that comes out.
 *
 * <p>Sources: Linux Documentation/arch/x86/boot.rst and zero-page.rst, arch/x86/include/uapi/asm/bootparam.h, Xen's
 * public/arch-x86/hvm/start_info.h, and the System V ABI's chapters on ELF.
 */
package io.thimble.vmm.boot;
