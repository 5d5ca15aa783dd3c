package io.thimble.vmm.spi;

import java.io.IOException;
import java.nio.file.Path;

/**
 * A guest that comes with the program: a kernel and the initial root file system that belongs to it. Found by
 * {@link java.util.ServiceLoader}; {@code guest-linux} provides one.
 *
 * <p>Both files are unpacked on first use, so the first call may take a second and the later ones are cheap. May be
 * called from any thread.
 */
public interface BundledGuest {
    /**
     * Returns the kernel, an uncompressed ELF {@code vmlinux}.
     *
     * @throws IOException if it cannot be unpacked; the message names the directory and the remedy
     */
    Path kernel() throws IOException;

    /**
     * Returns the initial root file system, a cpio archive whose {@code /init} is the guest agent.
     *
     * @throws IOException if it cannot be unpacked; the message names the directory and the remedy
     */
    Path initrd() throws IOException;

    /** Returns the kernel's release, for example {@code 6.12.117}. */
    String kernelVersion();

    /** Returns the command line that this kernel is meant to start with, without what the VMM itself adds. */
    String defaultCommandLine();
}
