package io.thimble.decoders;

import io.thimble.vmm.spi.KernelDecoder;
import java.io.IOException;
import java.io.InputStream;
import org.tukaani.xz.XZInputStream;

/** xz, by the XZ project's own library. The dictionary, up to 128 MiB in recent kernels, lies in the Java heap. */
public final class XzDecoder implements KernelDecoder {
    /** KiB. Linux's build has used dictionaries of 32 MiB, and of 128 MiB since 6.12. */
    static final int MEMORY_LIMIT = 200 << 10;

    /** Creates the provider, as {@link java.util.ServiceLoader} does. */
    public XzDecoder() {}

    @Override
    public String format() {
        return "xz";
    }

    @Override
    public InputStream open(InputStream packed) throws IOException {
        return new XZInputStream(packed, MEMORY_LIMIT);
    }
}
