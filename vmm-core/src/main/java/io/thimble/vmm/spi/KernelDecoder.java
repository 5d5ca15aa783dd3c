package io.thimble.vmm.spi;

import java.io.IOException;
import java.io.InputStream;

/**
 * Unpacks one kind of compressed kernel. Found by {@link java.util.ServiceLoader} when such a kernel is started, and not
 * before; {@code decoders} provides those for xz, lzma, zstd and lz4. gzip needs none.
 */
public interface KernelDecoder {
    /** Returns the format's name in lower case: {@code xz}, {@code lzma}, {@code zstd}, {@code lz4}. */
    String format();

    /**
     * Opens a stream of unpacked bytes.
     *
     * <p>The input may be damaged or made to do harm. Whatever it is, the stream ends or throws after a time that is bounded
     * by the input's length and by how much was read of the output, and holds at most some hundred MiB at a time.
     *
     * @param packed from the format's first byte to the end of the data; closed with the result
     * @throws IOException if it is not of the format, or asks for more memory than a kernel may; so do the stream's reads
     */
    InputStream open(InputStream packed) throws IOException;
}
