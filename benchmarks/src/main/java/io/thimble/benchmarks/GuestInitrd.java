package io.thimble.benchmarks;

import io.thimble.vmm.agent.CommandSegment;
import io.thimble.vmm.spi.BundledGuest;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The bundled initial RAM disk with a command for the guest agent, for other VMMs than ours. */
final class GuestInitrd {
    private GuestInitrd() {}

    /** Makes a temporary file, the caller's to delete. */
    static Path withCommand(BundledGuest guest, List<String> command) throws IOException {
        Path file = Files.createTempFile("benchmark", ".cpio");
        try (OutputStream out = Files.newOutputStream(file)) {
            long size = Files.copy(guest.initrd(), out);
            out.write(new byte[(int) (-size & 3)]);
            out.write(CommandSegment.of(command).toBytes());
        }
        return file;
    }
}
