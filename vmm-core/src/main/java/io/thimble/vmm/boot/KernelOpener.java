package io.thimble.vmm.boot;

import java.io.IOException;
import java.nio.file.Path;

/** Finds out what a kernel's file is, and unpacks it as far as it has to be. */
final class KernelOpener {
    private KernelOpener() {}

    /** See {@link KernelImage#open} and {@link KernelImage#openUnpacked}. */
    static KernelImage open(Path path, boolean unpackBzImage) throws IOException {
        BootFile file = BootFile.open(path, "kernel");
        try {
            KernelFormat format = formatOf(file);
            if (format.isCompressed()) {
                file = replace(file, Unpacker.unpack(file, format));
                format = formatOf(file);
            }
            if (format == KernelFormat.BZIMAGE && unpackBzImage) {
                file = replace(file, Unpacker.unpackPayload(file, BzImage.read(file)));
                format = formatOf(file);
                if (format != KernelFormat.ELF) {
                    throw new KernelImageException(file.name(), "what was unpacked is not an ELF file");
                }
            }
            KernelImage image = switch (format) {
                case ELF -> ElfKernel.read(file);
                case BZIMAGE -> BzImage.read(file);
                default -> throw new KernelImageException(file.name(), "the kernel is " + format.description());
            };
            file = null;
            return image;
        } finally {
            if (file != null) {
                file.close();
            }
        }
    }

    private static KernelFormat formatOf(BootFile file) throws IOException {
        int length = (int) Math.min(file.size(), KernelFormat.BYTES_TO_DETECT);
        return KernelFormat.detect(file.read(0, length).array());
    }

    /** Closes what the new file was made from. */
    private static BootFile replace(BootFile packed, BootFile unpacked) throws IOException {
        packed.close();
        return unpacked;
    }
}
