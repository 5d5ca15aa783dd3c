package io.thimble.vmm.boot;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Directories, files, links and device nodes that are to become a file system. Not thread-safe. */
final class FileTree {
    // linux/stat.h
    static final int S_IFMT = 0170000;
    static final int S_IFIFO = 0010000;
    static final int S_IFCHR = 0020000;
    static final int S_IFDIR = 0040000;
    static final int S_IFBLK = 0060000;
    static final int S_IFREG = 0100000;
    static final int S_IFLNK = 0120000;
    static final int S_IFSOCK = 0140000;

    private static final int MAX_NAME = 255; // NAME_MAX

    /** What a name stands for. */
    static final class Node {
        final int uid;
        final int gid;
        final int mtime;
        final int device;
        final Map<String, Node> children = new TreeMap<>();
        int mode;

        /** A file's bytes, or a symbolic link's target. */
        ByteBuffer content;

        /**
         * Makes a node.
         *
         * @param mode type and permissions, {@code st_mode}
         * @param content of a file or link
         * @param device of a device node, as {@link #device} gives it
         */
        Node(int mode, int uid, int gid, int mtime, ByteBuffer content, int device) {
            this.mode = mode;
            this.uid = uid;
            this.gid = gid;
            this.mtime = mtime;
            this.content = content;
            this.device = device;
        }

        int type() {
            return mode & S_IFMT;
        }

        boolean isDirectory() {
            return type() == S_IFDIR;
        }
    }

    private final Node root = directory(0755);

    /** Returns a new directory of root's. */
    static Node directory(int permissions) {
        return new Node(S_IFDIR | permissions, 0, 0, 0, ByteBuffer.allocate(0), 0);
    }

    /** Returns a device's number as the kernel keeps it on disks ({@code new_encode_dev}). */
    static int device(int major, int minor) {
        return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
    }

    Node root() {
        return root;
    }

    /**
     * Adds a node; one of the same name is replaced, but a directory stays and gets the permissions.
     *
     * @param path from the root; each character is a byte
     * @return false if a parent is missing, the path leads upwards, or a name is longer than 255 bytes
     */
    boolean add(String path, Node node) {
        List<String> names = new ArrayList<>();
        for (String name : path.split("/", -1)) {
            if (name.equals("..") || name.length() > MAX_NAME) {
                return false;
            }
            if (!name.isEmpty() && !name.equals(".")) {
                names.add(name);
            }
        }
        if (names.isEmpty()) {
            root.mode = node.isDirectory() ? node.mode : root.mode;
            return node.isDirectory();
        }
        Node parent = root;
        for (String name : names.subList(0, names.size() - 1)) {
            Node next = parent.children.get(name);
            if (next == null || !next.isDirectory()) {
                return false;
            }
            parent = next;
        }
        Node old = parent.children.get(names.getLast());
        if (old != null && old.isDirectory() && node.isDirectory()) {
            old.mode = node.mode;
        } else {
            parent.children.put(names.getLast(), node);
        }
        return true;
    }
}
