package io.thimble.cli;

import io.thimble.vmm.spi.BundledGuest;
import java.io.IOException;
import java.util.ServiceLoader;

/**
 * Opens the bundled guest on a second CPU while this one links the first system call: each takes a cold JVM some 30 ms. The VM's
 * start does the same again, which then costs nothing, and is who reports what is wrong.
 */
final class WarmUp implements Runnable {
    private WarmUp() {}

    static void begin() {
        Thread.ofPlatform().daemon(true).name("thimble-warm-up").start(new WarmUp());
    }

    @Override
    public void run() {
        try {
            for (BundledGuest guest : ServiceLoader.load(BundledGuest.class)) {
                open(guest);
            }
        } catch (IOException | RuntimeException e) {
            // The start of the VM meets the same failure and reports it.
        }
    }

    private static void open(BundledGuest guest) throws IOException {
        if (guest.kernel().toFile().exists() && guest.initrd().toFile().exists()) {
            String _ = guest.defaultCommandLine();
        }
    }
}
