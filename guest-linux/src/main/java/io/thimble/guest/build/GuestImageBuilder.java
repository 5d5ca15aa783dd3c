package io.thimble.guest.build;

import io.thimble.vmm.agent.CpioWriter;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;

/**
 * Assembles the guest while Maven builds: writes {@code initrd.cpio}, the default root file system, and {@code
 * guest.properties}, the digests and sizes by which {@code LinuxGuest} knows its files. The same inputs give the same
 * bytes.
 */
public final class GuestImageBuilder {
    private static final int DIRECTORY = 0755;
    private static final int PROGRAM = 0755;
    private static final int FILE = 0644;
    private static final List<String> DIRECTORIES =
            List.of("bin", "dev", "etc", "mnt", "proc", "run", "sbin", "sys", "usr", "usr/bin", "usr/sbin", "var");

    private GuestImageBuilder() {}

    /**
     * Runs the builder.
     *
     * @param arguments the folder of the module's sources, and the folder to write to
     */
    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 2) {
            throw new IllegalArgumentException("usage: GuestImageBuilder MODULE_FOLDER OUTPUT_FOLDER");
        }
        Path module = Path.of(arguments[0]);
        Path output = Files.createDirectories(Path.of(arguments[1]));
        byte[] initrd = initrd(module);
        Files.write(output.resolve("initrd.cpio"), initrd);
        Files.writeString(output.resolve("guest.properties"), kernel(module.resolve("kernel")) + initrd(initrd));
    }

    /** Returns the archive of the default root file system. */
    static byte[] initrd(Path module) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CpioWriter cpio = new CpioWriter(bytes);
        Path rootfs = module.resolve("rootfs");
        cpio.directory(".", DIRECTORY);
        for (String directory : DIRECTORIES) {
            cpio.directory(directory, DIRECTORY);
        }
        cpio.directory("root", 0700).directory("tmp", 01777).directory("var/tmp", 01777);
        cpio.file("init", PROGRAM, Files.readAllBytes(module.resolve("agent/thimble-agent")));
        cpio.file("bin/busybox", PROGRAM, Files.readAllBytes(rootfs.resolve("busybox")));
        for (String applet : Files.readAllLines(rootfs.resolve("applets.txt"))) {
            cpio.symlink(applet, "/bin/busybox");
        }
        for (Path file : sorted(rootfs.resolve("etc"))) {
            cpio.file("etc/" + file.getFileName(), FILE, Files.readAllBytes(file));
        }
        cpio.finish();
        return bytes.toByteArray();
    }

    private static List<Path> sorted(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.sorted().toList();
        }
    }

    private static String initrd(byte[] content) {
        return "initrd.sha256=" + hex(sha256().digest(content)) + "\ninitrd.size=" + content.length + "\n";
    }

    /** Returns the description of the one kernel in {@code folder}, after comparing it with the digest recorded there. */
    static String kernel(Path folder) throws IOException {
        List<Path> kernels = sorted(folder).stream()
                .filter(file -> file.getFileName().toString().matches("vmlinux-.*\\.gz"))
                .toList();
        if (kernels.size() != 1) {
            throw new IOException("expected one vmlinux-*.gz in " + folder + ", found " + kernels);
        }
        String resource = kernels.getFirst().getFileName().toString();
        MessageDigest digest = sha256();
        long size;
        try (InputStream in = new DigestInputStream(
                new GZIPInputStream(new BufferedInputStream(Files.newInputStream(kernels.getFirst())), 1 << 16),
                digest)) {
            size = in.transferTo(OutputStream.nullOutputStream());
        }
        String sha256 = hex(digest.digest());
        checkRecorded(folder, resource.substring(0, resource.length() - ".gz".length()), sha256);
        return "kernel.resource=" + resource + "\nkernel.release=" + resource.split("-", -1)[1] + "\nkernel.sha256="
                + sha256 + "\nkernel.size=" + size + "\n";
    }

    /** The digest that was recorded when the kernel was built. */
    private static void checkRecorded(Path folder, String name, String sha256) throws IOException {
        Path record = folder.resolve(name + ".sha256");
        if (!Files.readAllLines(record, StandardCharsets.US_ASCII).contains(sha256 + "  " + name)) {
            throw new IOException(name + " has SHA-256 " + sha256 + ", which is not in " + record);
        }
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new UncheckedIOException(new IOException(e));
        }
    }
}
