package io.thimble.decoders;

import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import io.thimble.vmm.spi.KernelDecoder;
import java.io.IOException;
import java.io.InputStream;

/** Zstandard, by its own library through JNI. The window lies outside the Java heap. */
public final class ZstdDecoder implements KernelDecoder {
    /** Binary logarithm of the largest window that is allowed: 128 MiB, which Linux's build uses (level 22). */
    static final int MAX_WINDOW_LOG = 27;

    /** Creates the provider, as {@link java.util.ServiceLoader} does. */
    public ZstdDecoder() {}

    @Override
    public String format() {
        return "zstd";
    }

    @Override
    public InputStream open(InputStream packed) throws IOException {
        return new ZstdInputStreamNoFinalizer(packed).setLongMax(MAX_WINDOW_LOG);
    }
}
