package io.thimble.vmm.boot;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * Reads cpio archives of the {@code newc} format into a {@link FileTree}, as Linux unpacks them into its initial root file system
 * (Documentation/driver-api/early-userspace/buffer-format.rst): several behind each other, the later entry of a name wins.
 *
 * <pre>
 * c_magic "070701", then 8 hexadecimal digits each: c_ino c_mode c_uid c_gid c_nlink c_mtime c_filesize c_maj c_min
 * c_rmaj c_rmin c_namesize c_chksum; then the name with a NUL, padded to 4 bytes; then the data, padded to 4 bytes
 * </pre>
 */
final class CpioReader {
    private static final String MAGIC = "070701";
    private static final String TRAILER = "TRAILER!!!";
    private static final int HEADER = 6 + 13 * 8;
    private static final int MAX_NAME = 4096; // PATH_MAX

    private static final int C_INO = 0;
    private static final int C_MODE = 1;
    private static final int C_UID = 2;
    private static final int C_GID = 3;
    private static final int C_NLINK = 4;
    private static final int C_MTIME = 5;
    private static final int C_FILESIZE = 6;
    private static final int C_MAJ = 7;
    private static final int C_MIN = 8;
    private static final int C_RMAJ = 9;
    private static final int C_RMIN = 10;
    private static final int C_NAMESIZE = 11;

    private final String name;
    private final byte[] archive;
    private final FileTree tree;
    private final Map<String, FileTree.Node> links = new HashMap<>();
    private int at;

    private CpioReader(String name, byte[] archive, FileTree tree) {
        this.name = name;
        this.archive = archive;
        this.tree = tree;
    }

    /**
     * Adds what is in an archive. The tree keeps the array.
     *
     * @param name of the archive, for messages
     * @throws BootException if it is no such archive, or damaged
     */
    static void read(String name, byte[] archive, FileTree tree) throws BootException {
        CpioReader reader = new CpioReader(name, archive, tree);
        while (reader.skipZeros()) {
            reader.entry();
        }
    }

    private boolean skipZeros() {
        while (at < archive.length && archive[at] == 0) {
            at++;
        }
        return at < archive.length;
    }

    private void entry() throws BootException {
        if (archive.length - at < HEADER || !ascii(at, MAGIC.length()).equals(MAGIC)) {
            throw new BootException(name + ": no cpio archive (newc) at byte " + at
                    + ": a kernel without initial RAM disks takes a plain one only, so unpack it first");
        }
        int nameSize = field(C_NAMESIZE);
        int size = field(C_FILESIZE);
        long data = align((long) at + HEADER + nameSize);
        if (nameSize < 2 || nameSize > MAX_NAME || size < 0 || data + size > archive.length) {
            throw damaged("an entry that does not end");
        }
        String path = new String(archive, at + HEADER, nameSize - 1, StandardCharsets.ISO_8859_1);
        if (path.equals(TRAILER)) {
            links.clear();
        } else {
            add(path, (int) data, size);
        }
        at = (int) Math.min(align(data + size), archive.length);
    }

    private void add(String path, int data, int size) throws BootException {
        int mode = field(C_MODE);
        FileTree.Node node = new FileTree.Node(
                mode,
                field(C_UID),
                field(C_GID),
                field(C_MTIME),
                ByteBuffer.wrap(archive, data, size).slice(),
                FileTree.device(field(C_RMAJ), field(C_RMIN)));
        if (field(C_NLINK) > 1 && !node.isDirectory()) {
            // All names of a file have its numbers; the last one, its contents.
            FileTree.Node first = links.putIfAbsent(field(C_MAJ) + ":" + field(C_MIN) + ":" + field(C_INO), node);
            if (first != null) {
                if (size > 0) {
                    first.content = node.content;
                }
                node = first;
            }
        }
        if (!tree.add(path, node)) {
            throw damaged("the name \"" + path + "\", which is no place in its directories");
        }
    }

    private BootException damaged(String what) {
        return new BootException(name + ": damaged cpio archive: at byte " + at + " stands " + what);
    }

    private int field(int index) throws BootException {
        try {
            return Integer.parseUnsignedInt(ascii(at + MAGIC.length() + 8 * index, 8), 16);
        } catch (NumberFormatException _) {
            throw damaged("a field that is no number");
        }
    }

    private String ascii(int offset, int length) {
        return new String(archive, offset, length, StandardCharsets.ISO_8859_1);
    }

    private static long align(long value) {
        return (value + 3) & ~3L;
    }
}
