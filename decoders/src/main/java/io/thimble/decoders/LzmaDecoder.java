package io.thimble.decoders;

import io.thimble.vmm.spi.KernelDecoder;
import java.io.IOException;
import java.io.InputStream;
import org.tukaani.xz.LZMAInputStream;

/** The format of LZMA Utils, which xz replaced; Linux can still be built with it. */
public final class LzmaDecoder implements KernelDecoder {
    /** Creates the provider, as {@link java.util.ServiceLoader} does. */
    public LzmaDecoder() {}

    @Override
    public String format() {
        return "lzma";
    }

    @Override
    public InputStream open(InputStream packed) throws IOException {
        return new LZMAInputStream(packed, XzDecoder.MEMORY_LIMIT);
    }
}
