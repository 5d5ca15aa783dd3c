package io.thimble.guest;

import io.thimble.vmm.spi.BundledGuest;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Properties;
import java.util.zip.GZIPInputStream;

/**
 * The bundled Linux guest. Its files are unpacked by {@link GuestCache} on first use; each later call looks at the file's
 * metadata only. Any thread.
 */
public final class LinuxGuest implements BundledGuest {
    private static final String DESCRIPTION = "guest.properties";
    private static final int GZIP_BUFFER = 1 << 16;

    private final GuestCache cache;
    private final Properties description;

    /** Creates the provider, as {@link java.util.ServiceLoader} does. Reads the description only. */
    public LinuxGuest() {
        this(GuestCache.standard());
    }

    LinuxGuest(GuestCache cache) {
        this.cache = cache;
        this.description = new Properties();
        try (InputStream in = resource(DESCRIPTION)) {
            description.load(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public Path kernel() throws IOException {
        String resource = "kernel/" + text("kernel.resource");
        return cache.file(artifact("vmlinux", "kernel", () -> new GZIPInputStream(resource(resource), GZIP_BUFFER)));
    }

    @Override
    public Path initrd() throws IOException {
        return cache.file(artifact("initrd", "initrd", () -> resource("initrd.cpio")));
    }

    @Override
    public String kernelVersion() {
        return text("kernel.release");
    }

    /**
     * {@inheritDoc} The console is the first serial port; a panic resets at once; {@code reboot=k} resets through the keyboard
     * controller, which tells it from a crash.
     */
    @Override
    public String defaultCommandLine() {
        // guest-linux/kernel/README.md says what each word is for; the machine has two serial ports and no PCI.
        return "console=ttyS0 reboot=k panic=-1 quiet loglevel=1 8250.nr_uarts=2 pci=off";
    }

    private Artifact artifact(String name, String key, Artifact.Source source) {
        return new Artifact(name, text(key + ".sha256"), Long.parseLong(text(key + ".size")), source);
    }

    private String text(String key) {
        String value = description.getProperty(key);
        if (value == null) {
            throw new IllegalStateException(DESCRIPTION + " of the bundled guest lacks " + key);
        }
        return value;
    }

    private static InputStream resource(String name) throws IOException {
        InputStream in = LinuxGuest.class.getResourceAsStream(name);
        if (in == null) {
            throw new FileNotFoundException(
                    "the jar of the bundled guest lacks " + name + ": it is damaged or was repackaged");
        }
        return in;
    }
}
