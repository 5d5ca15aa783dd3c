package io.thimble.vmm.boot;

import java.nio.charset.StandardCharsets;

/** What kind of file a kernel is, by its first bytes. */
public enum KernelFormat {
    /** An ELF file, such as an uncompressed vmlinux; whether it can be booted is for {@link ElfKernel} to say. */
    ELF("an ELF file"),
    /** Linux's bzImage: a real-mode setup header with the magic {@code HdrS}. */
    BZIMAGE("a bzImage"),
    /** Compressed by gzip, which the JDK unpacks. */
    GZIP("gzip", "gunzip"),
    /** Compressed by xz. */
    XZ("xz", "unxz"),
    /** Compressed by Zstandard. */
    ZSTD("zstd", "unzstd"),
    /** Compressed by LZ4 (frame or legacy format). */
    LZ4("lz4", "unlz4"),
    /** Compressed by LZMA (the format before xz). */
    LZMA("lzma", "unlzma"),
    /** Compressed by bzip2. */
    BZIP2("bzip2", "bunzip2"),
    /** Compressed by lzop. */
    LZO("lzo", "lzop -d"),
    /** A kernel for arm64, {@code Image}, as Documentation/arch/arm64/booting.rst has it. */
    ARM64_IMAGE("a kernel for arm64 (Image), and this machine is x86-64: build one for x86-64"),
    /** A kernel for RISC-V, {@code Image}, as Documentation/arch/riscv/boot-image-header.rst has it. */
    RISCV_IMAGE("a kernel for RISC-V (Image), and this machine is x86-64: build one for x86-64"),
    /** An EFI program that unpacks a kernel; made for arm64, RISC-V and LoongArch only. */
    EFI_ZBOOT(
            "an EFI zboot image, which starts on EFI firmware only (and which x86-64 does not have): there is no firmware"
                    + " here; name the vmlinux that it was made from"),
    /** A unified kernel image: an EFI program with a kernel in its section .linux. */
    UKI("a unified kernel image, which starts on EFI firmware only: take the kernel out of it with"
            + " objcopy -O binary --only-section=.linux IMAGE KERNEL"),
    /** Another EFI program or one for Windows. */
    PE("a PE file (an EFI program?) and no bzImage: there is no firmware here that could start it"),
    /** U-Boot's wrapper, mkimage's legacy format. */
    UIMAGE("wrapped for U-Boot (uImage): name the kernel that it was made from"),
    /** None of these. A flat binary is loaded only if the user says so: it has nothing to be known by. */
    UNKNOWN("neither an ELF vmlinux nor a bzImage, nor one of these compressed");

    /** How many bytes of the file {@link #detect} wants to see. */
    static final int BYTES_TO_DETECT = 0x1000;

    /** Where arm64 and RISC-V have their magic in the image's header. */
    private static final int IMAGE_MAGIC = 0x38;

    private static final int ZBOOT_MAGIC = 4;

    private final String description;
    private final String codec;

    KernelFormat(String description) {
        this.description = description;
        this.codec = "";
    }

    KernelFormat(String codec, String unpacker) {
        this.description = "compressed by " + codec + ": unpack it with " + unpacker;
        this.codec = codec;
    }

    /** Returns what the file is and, if it cannot be booted, what to do: the end of a sentence "the file is ...". */
    public String description() {
        return description;
    }

    /** Tells whether the file has to be unpacked before it is something else. */
    public boolean isCompressed() {
        return !codec.isEmpty();
    }

    /** Returns the name of the compression, as {@link io.thimble.vmm.spi.KernelDecoder#format} has it; empty for none. */
    public String codec() {
        return codec;
    }

    /**
     * Tells the format.
     *
     * @param start the file's first {@value #BYTES_TO_DETECT} bytes, or all of them if it has fewer
     */
    public static KernelFormat detect(byte[] start) {
        if (startsWith(start, 0, 0x7f, 'E', 'L', 'F')) {
            return ELF;
        }
        if (startsWith(start, (int) BootParams.HDR_HEADER, 'H', 'd', 'r', 'S')) {
            return BZIMAGE;
        }
        if (startsWith(start, IMAGE_MAGIC, 'A', 'R', 'M', 0x64)) {
            return ARM64_IMAGE;
        }
        if (startsWith(start, IMAGE_MAGIC, 'R', 'S', 'C', 0x05)) {
            return RISCV_IMAGE;
        }
        if (startsWith(start, 0, 'M', 'Z')) {
            return portableExecutable(start);
        }
        if (startsWith(start, 0, 0x27, 0x05, 0x19, 0x56)) {
            return UIMAGE;
        }
        return compression(start);
    }

    private static KernelFormat portableExecutable(byte[] start) {
        if (startsWith(start, ZBOOT_MAGIC, 'z', 'i', 'm', 'g')) {
            return EFI_ZBOOT;
        }
        // A section's name is 8 bytes in a table behind the headers.
        return new String(start, StandardCharsets.ISO_8859_1).contains(".linux\0\0") ? UKI : PE;
    }

    private static KernelFormat compression(byte[] start) {
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
        if (startsWith(start, 0, 0x5d, 0, 0)) {
            return LZMA;
        }
        if (startsWith(start, 0, 'B', 'Z', 'h')) {
            return BZIP2;
        }
        return startsWith(start, 0, 0x89, 'L', 'Z', 'O') ? LZO : UNKNOWN;
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
