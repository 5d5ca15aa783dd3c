package io.thimble.vmm.boot;

/** What kind of file a kernel is, by its first bytes. */
public enum KernelFormat {
    /** An ELF file, such as an uncompressed vmlinux; whether it can be booted is for {@link ElfKernel} to say. */
    ELF("an ELF file"),
    /** Linux's bzImage: a real-mode setup header with the magic {@code HdrS}. */
    BZIMAGE("a bzImage"),
    /** Compressed by gzip. */
    GZIP("compressed by gzip: unpack it with gunzip first"),
    /** Compressed by xz. */
    XZ("compressed by xz: unpack it with unxz first"),
    /** Compressed by Zstandard. */
    ZSTD("compressed by zstd: unpack it with unzstd first"),
    /** Compressed by LZ4 (frame or legacy format). */
    LZ4("compressed by lz4: unpack it with unlz4 first"),
    /** Compressed by bzip2. */
    BZIP2("compressed by bzip2: unpack it with bunzip2 first"),
    /** None of these. A flat binary is loaded only if the user says so: it has nothing to be known by. */
    UNKNOWN("neither an ELF vmlinux nor a bzImage");

    /** How many bytes of the file {@link #detect} wants to see. */
    static final int BYTES_TO_DETECT = 0x206;

    private static final int[] ELF_MAGIC = {0x7f, 'E', 'L', 'F'};
    private static final int[] HDRS_MAGIC = {'H', 'd', 'r', 'S'};

    private final String description;

    KernelFormat(String description) {
        this.description = description;
    }

    /** Returns what the file is and, if it cannot be booted, what to do: the end of a sentence "the file is ...". */
    public String description() {
        return description;
    }

    /**
     * Tells the format.
     *
     * @param start the file's first {@value #BYTES_TO_DETECT} bytes, or all of them if it has fewer
     */
    public static KernelFormat detect(byte[] start) {
        if (startsWith(start, 0, ELF_MAGIC)) {
            return ELF;
        }
        if (startsWith(start, (int) BootParams.HDR_HEADER, HDRS_MAGIC)) {
            return BZIMAGE;
        }
        if (startsWith(start, 0, 0x1f, 0x8b)) {
            return GZIP;
        }
        if (startsWith(start, 0, 0xfd, '7', 'z', 'X', 'Z', 0)) {
            return XZ;
        }
        if (startsWith(start, 0, 0x28, 0xb5, 0x2f, 0xfd)) {
            return ZSTD;
        }
        if (startsWith(start, 0, 0x04, 0x22, 0x4d, 0x18) || startsWith(start, 0, 0x02, 0x21, 0x4c, 0x18)) {
            return LZ4;
        }
        if (startsWith(start, 0, 'B', 'Z', 'h')) {
            return BZIP2;
        }
        return UNKNOWN;
    }

    private static boolean startsWith(byte[] bytes, int offset, int... magic) {
        if (bytes.length < offset + magic.length) {
            return false;
        }
        for (int i = 0; i < magic.length; i++) {
            if ((bytes[offset + i] & 0xff) != magic[i]) {
                return false;
            }
        }
        return true;
    }
}
