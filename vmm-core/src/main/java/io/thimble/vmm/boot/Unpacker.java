package io.thimble.vmm.boot;

import io.thimble.vmm.spi.KernelDecoder;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.zip.GZIPInputStream;

/**
 * Unpacks compressed kernels: those by gzip with the JDK, others with a {@link KernelDecoder}. The files are hostile: what is
 * unpacked has at most {@value #LIMIT} bytes, and whatever a decoder throws tells of a damaged file.
 */
final class Unpacker {
    /** More than any kernel, with debug information too. */
    static final long LIMIT = 1L << 30;

    private static final int BUFFER = 1 << 16;

    private Unpacker() {}

    /**
     * Unpacks a whole file.
     *
     * @param packed stays the caller's to close
     * @param format how it is compressed
     * @throws KernelImageException if it is damaged, too large, or there is no decoder
     */
    static BootFile unpack(BootFile packed, KernelFormat format) throws IOException {
        return new Unpacking(packed, format, format.codec(), 0, packed.size()).run(-1);
    }

    /**
     * Unpacks the kernel that is inside a bzImage.
     *
     * @param file the bzImage's; stays the caller's to close
     * @throws KernelImageException likewise, or if the bzImage does not tell where its payload is
     */
    static BootFile unpackPayload(BootFile file, BzImage bzImage) throws IOException {
        long at = bzImage.payloadAt();
        long length = bzImage.payloadLength();
        if (length <= Integer.BYTES) {
            throw new KernelImageException(file.name(), "this bzImage does not say where its compressed kernel is");
        }
        int toDetect = (int) Math.min(length, KernelFormat.BYTES_TO_DETECT);
        KernelFormat format = KernelFormat.detect(file.read(at, toDetect).array());
        if (!format.isCompressed()) {
            throw new KernelImageException(file.name(), "this bzImage's payload is compressed in an unknown way");
        }
        // The last four bytes are the unpacked size. With gzip they are its own; Linux's build appends them to others.
        long size = Integer.toUnsignedLong(
                file.read(at + length - Integer.BYTES, Integer.BYTES).getInt());
        long packed = format == KernelFormat.GZIP ? length : length - Integer.BYTES;
        return new Unpacking(file, format, "bzImage's payload, " + format.codec(), at, packed).run(size);
    }

    /** One run over one part of a file. */
    private record Unpacking(BootFile file, KernelFormat format, String packing, long at, long length) {
        /** Unpacks; {@code expected} is the size that it must give, -1 if that is not known. */
        BootFile run(long expected) throws IOException {
            UnpackedBytes unpacked = new UnpackedBytes();
            try {
                boolean whole;
                try (InputStream in = open(new PartStream(file, at, length))) {
                    whole = unpacked.fill(in, LIMIT);
                } catch (KernelImageException e) {
                    throw e;
                } catch (IOException | RuntimeException e) {
                    throw failed("damaged, or not all there (" + format.codec() + ": " + reason(e) + ")", e);
                } catch (LinkageError e) {
                    throw failed("the decoder for " + format.codec() + " cannot be loaded (" + e + "): " + remedy(), e);
                } catch (OutOfMemoryError e) {
                    throw failed(
                            "unpacking it (" + format.codec() + ") takes more memory than there is (" + e.getMessage()
                                    + "): give the JVM more (-Xmx), or " + remedy(),
                            e);
                }
                if (!whole) {
                    throw invalid("it unpacks to more than " + (LIMIT >> 20) + " MiB: not a kernel");
                }
                if (expected >= 0 && unpacked.size() != expected) {
                    throw invalid("damaged: it unpacks to " + unpacked.size() + " bytes and should give " + expected);
                }
                BootFile result = new BootFile(file.name(), packing, unpacked, unpacked.size());
                unpacked = null;
                return result;
            } finally {
                if (unpacked != null) {
                    unpacked.close();
                }
            }
        }

        private InputStream open(InputStream packed) throws IOException {
            return format == KernelFormat.GZIP
                    ? new GZIPInputStream(packed, BUFFER)
                    : decoder().open(packed);
        }

        private KernelDecoder decoder() throws KernelImageException {
            try {
                return ServiceLoader.load(KernelDecoder.class, KernelDecoder.class.getClassLoader()).stream()
                        .map(ServiceLoader.Provider::get)
                        .filter(decoder -> decoder.format().equals(format.codec()))
                        .findFirst()
                        .orElseThrow(() -> invalid("compressed by " + format.codec()
                                + ", for which no decoder is on the class path or module path: add"
                                + " io.thimble:thimble-decoders (io.thimble:microvm brings it), or " + remedy()));
            } catch (ServiceConfigurationError e) {
                throw failed(
                        "the decoder for " + format.codec() + " cannot be loaded (" + e.getMessage() + "): " + remedy(),
                        e);
            }
        }

        private String remedy() {
            String description = format.description();
            return description.substring(description.indexOf(": ") + 2) + " first";
        }

        private KernelImageException failed(String problem, Throwable cause) {
            KernelImageException e = invalid(problem);
            e.initCause(cause);
            return e;
        }

        private KernelImageException invalid(String problem) {
            return new KernelImageException(file.name(), problem);
        }

        private static String reason(Exception e) {
            return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        }
    }

    /** A part of a file as a stream; reads from the file in pieces of {@value #BUFFER} bytes. */
    private static final class PartStream extends InputStream {
        private final BootFile file;
        private final long end;
        private long position;
        private ByteBuffer buffer = ByteBuffer.allocate(0);

        PartStream(BootFile file, long start, long length) {
            this.file = file;
            this.position = start;
            this.end = start + length;
        }

        private boolean refill() throws IOException {
            if (!buffer.hasRemaining()) {
                int part = (int) Math.min(BUFFER, end - position);
                if (part == 0) {
                    return false;
                }
                buffer = file.read(position, part);
                position += part;
            }
            return true;
        }

        @Override
        public int read() throws IOException {
            return refill() ? buffer.get() & 0xff : -1;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            if (length == 0) {
                return 0;
            }
            if (!refill()) {
                return -1;
            }
            int part = Math.min(length, buffer.remaining());
            buffer.get(target, offset, part);
            return part;
        }

        @Override
        public int available() {
            return (int) Math.min(Integer.MAX_VALUE, buffer.remaining() + end - position);
        }
    }
}
