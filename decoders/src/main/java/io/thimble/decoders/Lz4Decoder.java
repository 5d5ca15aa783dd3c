package io.thimble.decoders;

import io.thimble.vmm.spi.KernelDecoder;
import java.io.IOException;
import java.io.InputStream;

/** LZ4: the legacy format, which Linux's build uses, and frames, which {@code lz4} writes by default. */
public final class Lz4Decoder implements KernelDecoder {
    /** Creates the provider, as {@link java.util.ServiceLoader} does. */
    public Lz4Decoder() {}

    @Override
    public String format() {
        return "lz4";
    }

    @Override
    public InputStream open(InputStream packed) throws IOException {
        return new Lz4InputStream(packed);
    }
}
