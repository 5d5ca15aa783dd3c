import org.jspecify.annotations.NullMarked;

/** Decoders for compressed kernels: xz, lzma, zstd and lz4. */
@NullMarked
module io.thimble.decoders {
    requires static org.jspecify;
    requires com.github.luben.zstd_jni;
    requires io.thimble.vmm;
    requires org.tukaani.xz;

    provides io.thimble.vmm.spi.KernelDecoder with
            io.thimble.decoders.XzDecoder,
            io.thimble.decoders.LzmaDecoder,
            io.thimble.decoders.ZstdDecoder,
            io.thimble.decoders.Lz4Decoder;
}
