package io.thimble.cli;

import io.thimble.cli.RunOptions.Talk;
import io.thimble.cli.doctor.Doctor;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;

/** Tells the user of a host whose KVM will hardly run the kernel that was asked for, and what would. */
final class Suitability {
    /** What to add to a message about a KVM that cannot be used. */
    static final String REMEDY = "; or add --nested: QEMU emulates a host with KVM, slowly";

    /** Text in every kernel that has the patches for kvm-pvm. */
    private static final String SIGN = "kvm-pvm";

    private static final String ELF = "\177ELF";

    /** In a bzImage: Documentation/arch/x86/boot.rst, offset 0x202. */
    private static final String SETUP_HEADER = "HdrS";

    private static final int HEADER = 0x202 + SETUP_HEADER.length();
    private static final int GZIP_MAGIC = 0x1f8b;
    private static final int BLOCK = 1 << 16;

    private Suitability() {}

    /** Says so if this host's KVM wants a kernel with patches, and the one that was asked for does not look like it. */
    static void warn(RunOptions options) {
        String kernel = options.kernel;
        if (kernel != null && options.talk != Talk.QUIET && Doctor.wantsPatchedKernel() && isUnpatched(kernel)) {
            System.err.println("thimble: this host's KVM (kvm-pvm) runs kernels with a patch for it, of which " + kernel
                    + " shows no sign: it will hardly boot" + REMEDY);
        }
    }

    /** What cannot be read, is no kernel, or is packed other than by gzip, is not judged here: who opens it says what is wrong. */
    private static boolean isUnpatched(String kernel) {
        if (kernel.equals(RunOptions.KRUNFW)) {
            return true;
        }
        try (InputStream file = new BufferedInputStream(Files.newInputStream(Path.of(kernel)), BLOCK);
                InputStream image = new BufferedInputStream(unpacked(file), BLOCK)) {
            return isKernel(image) && !hasSign(image);
        } catch (IOException | InvalidPathException _) {
            return false;
        }
    }

    private static InputStream unpacked(InputStream file) throws IOException {
        file.mark(2);
        int magic = file.read() << Byte.SIZE | file.read();
        file.reset();
        return magic == GZIP_MAGIC ? new GZIPInputStream(file, BLOCK) : file;
    }

    /** Tells whether an ELF file or a bzImage begins here, and stays at its beginning. */
    static boolean isKernel(InputStream image) throws IOException {
        image.mark(HEADER);
        String header = new String(image.readNBytes(HEADER), StandardCharsets.ISO_8859_1);
        image.reset();
        return header.startsWith(ELF) || header.startsWith(SETUP_HEADER, HEADER - SETUP_HEADER.length());
    }

    /** Tells whether the stream contains {@link #SIGN}. */
    static boolean hasSign(InputStream in) throws IOException {
        byte[] block = new byte[BLOCK + SIGN.length()];
        int kept = 0;
        for (int n = in.readNBytes(block, 0, BLOCK); n > 0; n = in.readNBytes(block, kept, BLOCK)) {
            int end = kept + n;
            if (new String(block, 0, end, StandardCharsets.ISO_8859_1).contains(SIGN)) {
                return true;
            }
            kept = Math.min(SIGN.length() - 1, end);
            System.arraycopy(block, end - kept, block, 0, kept);
        }
        return false;
    }
}
