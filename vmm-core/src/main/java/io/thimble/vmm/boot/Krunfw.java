package io.thimble.vmm.boot;

import io.thimble.linux.SharedLibrary;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * libkrunfw: a Linux kernel as the data of a shared library, told by its C function (libkrunfw.h):
 *
 * <pre>
 * char *krunfw_get_kernel(size_t *load_addr, size_t *entry_addr, size_t *size);
 * </pre>
 */
public final class Krunfw {
    /** The library's name, with the version of its interface. */
    public static final String LIBRARY = "libkrunfw.so.5";

    private static final String FUNCTION = "krunfw_get_kernel";
    private static final String REMEDY =
            "install it (Debian: package libkrunfw5), add its directory to LD_LIBRARY_PATH, or name its file";

    private Krunfw() {}

    /**
     * Opens the kernel; nothing is copied until it is loaded.
     *
     * @param file the library; empty to look for it
     * @throws BootException if there is no such library, or what it tells cannot be used; the message names the package
     */
    public static RawKernel open(Optional<Path> file) throws IOException {
        Optional<Path> found = file.isPresent() ? file : SharedLibrary.find(LIBRARY);
        SharedLibrary library = load(found);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG, 3);
            long at = out.address();
            long address = library.call(FUNCTION, at, at + Long.BYTES, at + 2 * Long.BYTES);
            long loadAddress = out.getAtIndex(ValueLayout.JAVA_LONG, 0);
            long entry = out.getAtIndex(ValueLayout.JAVA_LONG, 1);
            long size = out.getAtIndex(ValueLayout.JAVA_LONG, 2);
            if (address == 0 || size <= 0) {
                throw new KernelImageException(library.toString(), FUNCTION + " gives no kernel");
            }
            SharedLibrary owner = library;
            RawKernel kernel =
                    RawKernel.of(library.toString(), library.memory(address, size), owner::close, loadAddress, entry);
            library = null;
            return kernel;
        } catch (IllegalArgumentException e) {
            BootException wrong = new BootException(found.map(Path::toString).orElse(LIBRARY)
                    + ": not libkrunfw, it has no function " + FUNCTION + ": " + REMEDY);
            wrong.initCause(e);
            throw wrong;
        } finally {
            if (library != null) {
                library.close();
            }
        }
    }

    private static SharedLibrary load(Optional<Path> file) throws BootException {
        if (file.isPresent() && !Files.isRegularFile(file.get())) {
            throw new BootException(file.get() + ": no such library: " + REMEDY);
        }
        try {
            return file.isPresent() ? SharedLibrary.open(file.get().toAbsolutePath()) : SharedLibrary.open(LIBRARY);
        } catch (IllegalArgumentException e) {
            BootException missing = new BootException(
                    file.isPresent()
                            ? file.get() + ": not a shared library for this machine: " + REMEDY
                            : LIBRARY + " is not on this machine: " + REMEDY);
            missing.initCause(e);
            throw missing;
        }
    }
}
