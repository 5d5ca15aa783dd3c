package io.thimble.vmm.agent;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/**
 * Writes a cpio archive of the {@code newc} format, the one that Linux unpacks into its initial root file system
 * (Documentation/driver-api/early-userspace/buffer-format.rst). The same calls give the same bytes: no times, no owner
 * but root.
 *
 * <pre>
 * c_magic "070701", then 8 hexadecimal digits each: c_ino c_mode c_uid c_gid c_nlink c_mtime c_filesize c_maj c_min
 * c_rmaj c_rmin c_namesize c_chksum; then the name with a NUL, padded to 4 bytes; then the data, padded to 4 bytes
 * </pre>
 *
 * <p>The archive's length is a multiple of 4, so that another archive may follow. Not thread-safe.
 */
public final class CpioWriter {
    private static final int S_IFDIR = 0040000;
    private static final int S_IFREG = 0100000;
    private static final int S_IFLNK = 0120000;
    private static final int PERMISSIONS = 07777;
    private static final int HEADER = 6 + 13 * 8;
    private static final byte[] PADDING = new byte[3];
    private static final HexFormat HEX = HexFormat.of().withUpperCase();

    private final OutputStream out;
    private int inode;

    /** Creates a writer onto {@code out}, which it never closes. */
    public CpioWriter(OutputStream out) {
        this.out = out;
    }

    /**
     * Adds a directory; its parent must have been added before.
     *
     * @param path relative to the root, without a leading slash
     * @param permissions for example 0755, set-id and sticky bits included
     * @throws IllegalArgumentException if the path is empty, absolute or holds a NUL, or the permissions hold other bits
     */
    public CpioWriter directory(String path, int permissions) throws IOException {
        entry(path, S_IFDIR | checked(permissions), new byte[0]);
        return this;
    }

    /**
     * Adds a regular file.
     *
     * @throws IllegalArgumentException as for {@link #directory}
     */
    public CpioWriter file(String path, int permissions, byte[] content) throws IOException {
        entry(path, S_IFREG | checked(permissions), content);
        return this;
    }

    /**
     * Adds a symbolic link.
     *
     * @throws IllegalArgumentException as for {@link #directory}
     */
    public CpioWriter symlink(String path, String target) throws IOException {
        entry(path, S_IFLNK | 0777, target.getBytes(StandardCharsets.UTF_8));
        return this;
    }

    /** Ends the archive. Nothing may be added after. */
    public void finish() throws IOException {
        inode = -1;
        write("TRAILER!!!", 0, new byte[0]);
    }

    private static int checked(int permissions) {
        if ((permissions & ~PERMISSIONS) != 0) {
            throw new IllegalArgumentException(
                    "permissions " + Integer.toOctalString(permissions) + " are out of range");
        }
        return permissions;
    }

    private void entry(String path, int mode, byte[] data) throws IOException {
        if (path.isEmpty() || path.startsWith("/") || path.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("\"" + path + "\" is no path relative to the root");
        }
        write(path, mode, data);
    }

    private void write(String path, int mode, byte[] data) throws IOException {
        byte[] name = (path + "\0").getBytes(StandardCharsets.UTF_8);
        StringBuilder header = new StringBuilder(HEADER).append("070701");
        int[] fields = {++inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0};
        for (int field : fields) {
            header.append(HEX.toHexDigits(field));
        }
        out.write(header.toString().getBytes(StandardCharsets.US_ASCII));
        out.write(name);
        pad(HEADER + name.length);
        out.write(data);
        pad(data.length);
    }

    private void pad(int length) throws IOException {
        out.write(PADDING, 0, -length & 3);
    }
}
