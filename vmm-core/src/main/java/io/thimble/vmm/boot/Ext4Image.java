package io.thimble.vmm.boot;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;

/**
 * Writes a {@link FileTree} as an ext4 file system of one block group without a journal (fs/ext4/ext4.h, ext4_extents.h): each file
 * is one extent, and what no file has is left a hole of the image.
 *
 * <pre>
 * block 0: 1024 bytes, struct ext4_super_block   1: struct ext4_group_desc   2: block bitmap   3: inode bitmap
 * 4..: inode table   then: directories, files and long links in the tree's order   then: free
 * </pre>
 */
final class Ext4Image {
    /** The size of every image: all that one group's bitmap can hold. */
    static final long SIZE = 128L << 20;

    private static final int BLOCK = 4096;
    private static final int BLOCKS = (int) (SIZE / BLOCK);
    private static final int INODE_SIZE = 128;
    private static final int INODES_PER_BLOCK = BLOCK / INODE_SIZE;
    private static final int SUPER_BLOCK = 1024;
    private static final int INODE_TABLE = 4;
    private static final int EXT4_ROOT_INO = 2;
    private static final int FIRST_INO = 11; // EXT4_GOOD_OLD_FIRST_INO
    private static final int SPARE_INODES = 8192;
    private static final int MAX_INODES = 8 * BLOCK;
    private static final int FAST_LINK = 60; // bytes of i_block
    private static final byte FT_DIR = 2; // EXT4_FT_DIR
    private static final int DIRENT = 8; // inode, rec_len, name_len, file_type

    private static final int EXT4_FEATURE_INCOMPAT_FILETYPE = 0x2;
    private static final int EXT4_FEATURE_INCOMPAT_EXTENTS = 0x40;
    private static final int EXT4_FEATURE_RO_COMPAT_SPARSE_SUPER = 0x1;
    private static final int EXT4_FEATURE_RO_COMPAT_LARGE_FILE = 0x2;
    private static final int EXT4_EXTENTS_FL = 0x80000;

    /** What the tree's node becomes. */
    private static final class Inode {
        final FileTree.Node node;
        final int number;
        final int parent;
        int links;
        int firstBlock;
        int blocks;
        byte[] directory = new byte[0];

        Inode(FileTree.Node node, int number, int parent) {
            this.node = node;
            this.number = number;
            this.parent = parent;
        }

        int size() {
            return node.isDirectory() ? directory.length : node.content.remaining();
        }
    }

    private record Entry(String name, int inode, byte fileType) {
        int length() {
            return (DIRENT + name.length() + 3) & ~3;
        }
    }

    private final FileChannel out;
    private final IdentityHashMap<FileTree.Node, Inode> inodes = new IdentityHashMap<>();
    private final List<Inode> order = new ArrayList<>();
    private int directories;
    private int nextBlock;

    private Ext4Image(FileChannel out) {
        this.out = out;
    }

    /**
     * Writes the image.
     *
     * @param out an empty file
     * @throws BootException if the tree is too large for {@link #SIZE}
     */
    static void write(FileTree tree, FileChannel out) throws IOException {
        tree.root().children.putIfAbsent("lost+found", FileTree.directory(0700)); // e2fsck wants it
        new Ext4Image(out).write(tree.root());
    }

    private void write(FileTree.Node root) throws IOException {
        number(root, EXT4_ROOT_INO, EXT4_ROOT_INO);
        numberAll(root);
        int count =
                Math.min(MAX_INODES, (FIRST_INO + order.size() + SPARE_INODES) / INODES_PER_BLOCK * INODES_PER_BLOCK);
        if (FIRST_INO + order.size() > count) {
            throw new BootException(
                    "The root disk would have " + order.size() + " files: at most " + MAX_INODES + " fit");
        }
        nextBlock = INODE_TABLE + count / INODES_PER_BLOCK;
        for (Inode inode : order) {
            if (inode.node.isDirectory()) {
                inode.directory = entries(inode);
            }
        }
        for (Inode inode : order) {
            place(inode);
        }
        for (Inode inode : order) {
            writeInode(inode);
            writeContent(inode);
        }
        writeBitmaps(count);
        writeSuperBlock(count);
        ByteBuffer end = ByteBuffer.allocate(1);
        writeAt(end, SIZE - 1);
    }

    private Inode number(FileTree.Node node, int number, int parent) {
        Inode inode = new Inode(node, number, parent);
        inodes.put(node, inode);
        order.add(inode);
        return inode;
    }

    /** Numbers what is below a directory, and counts links: each name, and each {@code .} and {@code ..} of a directory. */
    private void numberAll(FileTree.Node directory) {
        directories++;
        Inode self = Objects.requireNonNull(inodes.get(directory));
        self.links++;
        if (self.number == EXT4_ROOT_INO) {
            self.links++; // its own ".."
        }
        for (FileTree.Node child : directory.children.values()) {
            Inode inode = inodes.get(child);
            if (inode == null) {
                inode = number(child, FIRST_INO + order.size() - 1, self.number);
            }
            inode.links++;
            if (child.isDirectory()) {
                self.links++;
                numberAll(child);
            }
        }
    }

    /** Returns a directory's blocks, struct ext4_dir_entry_2 behind each other; the last of a block reaches its end. */
    private byte[] entries(Inode directory) {
        List<Entry> entries = new ArrayList<>();
        entries.add(new Entry(".", directory.number, FT_DIR));
        entries.add(new Entry("..", directory.parent, FT_DIR));
        directory.node.children.forEach((name, child) -> entries.add(new Entry(name, number(child), fileType(child))));
        ByteBuffer blocks = little(BLOCK);
        int used = 0;
        for (int i = 0; i < entries.size(); i++) {
            Entry entry = entries.get(i);
            int left = BLOCK - used % BLOCK;
            boolean last = i == entries.size() - 1
                    || left - entry.length() < entries.get(i + 1).length();
            if (used == blocks.capacity()) {
                blocks = ByteBuffer.wrap(Arrays.copyOf(blocks.array(), used + BLOCK))
                        .order(ByteOrder.LITTLE_ENDIAN);
            }
            int length = last ? left : entry.length();
            blocks.putInt(used, entry.inode);
            blocks.putShort(used + 4, (short) length);
            blocks.put(used + 6, (byte) entry.name.length());
            blocks.put(used + 7, entry.fileType);
            blocks.put(used + DIRENT, entry.name.getBytes(StandardCharsets.ISO_8859_1));
            used += length;
        }
        return blocks.array();
    }

    private int number(FileTree.Node node) {
        return Objects.requireNonNull(inodes.get(node)).number;
    }

    private void place(Inode inode) throws BootException {
        boolean inInode = inode.node.type() == FileTree.S_IFLNK && inode.size() < FAST_LINK;
        boolean hasData = inode.node.isDirectory()
                || inode.node.type() == FileTree.S_IFREG
                || inode.node.type() == FileTree.S_IFLNK;
        if (!hasData || inInode) {
            return;
        }
        inode.blocks = (int) (((long) inode.size() + BLOCK - 1) / BLOCK);
        if (inode.blocks > BLOCKS - nextBlock) {
            throw new BootException("The root disk is too small for what is to be in it: " + (SIZE >> 20)
                    + " MiB. Leave something out, or give a disk with the root file system and root=");
        }
        inode.firstBlock = nextBlock;
        nextBlock += inode.blocks;
    }

    private void writeInode(Inode inode) throws IOException {
        FileTree.Node node = inode.node;
        ByteBuffer b = little(INODE_SIZE);
        b.putShort(0, (short) node.mode);
        b.putShort(2, (short) node.uid);
        b.putInt(4, inode.size());
        b.putInt(8, node.mtime); // i_atime
        b.putInt(12, node.mtime); // i_ctime
        b.putInt(16, node.mtime);
        b.putShort(24, (short) node.gid);
        b.putShort(26, (short) inode.links);
        b.putInt(28, inode.blocks * (BLOCK / 512));
        b.putShort(120, (short) (node.uid >>> 16)); // l_i_uid_high
        b.putShort(122, (short) (node.gid >>> 16)); // l_i_gid_high
        if (node.type() == FileTree.S_IFCHR || node.type() == FileTree.S_IFBLK) {
            b.putInt(40 + 4, node.device); // i_block[1]: the new encoding
        } else if (isLink(node) && inode.blocks == 0) {
            b.slice(40, FAST_LINK).put(node.content.duplicate());
        } else if (node.isDirectory() || node.type() == FileTree.S_IFREG || isLink(node)) {
            b.putInt(32, EXT4_EXTENTS_FL);
            b.putShort(40, (short) 0xf30a); // eh_magic
            b.putShort(42, (short) (inode.blocks > 0 ? 1 : 0)); // eh_entries
            b.putShort(44, (short) 4); // eh_max
            if (inode.blocks > 0) {
                b.putShort(52 + 4, (short) inode.blocks); // ee_len; ee_block is 0
                b.putInt(52 + 8, inode.firstBlock); // ee_start_lo
            }
        }
        writeAt(b, (long) INODE_TABLE * BLOCK + (long) (inode.number - 1) * INODE_SIZE);
    }

    private void writeContent(Inode inode) throws IOException {
        if (inode.blocks > 0) {
            ByteBuffer bytes =
                    inode.node.isDirectory() ? ByteBuffer.wrap(inode.directory) : inode.node.content.duplicate();
            writeAt(bytes, (long) inode.firstBlock * BLOCK);
        }
    }

    private void writeBitmaps(int inodeCount) throws IOException {
        ByteBuffer map = little(BLOCK);
        set(map, 0, nextBlock);
        writeAt(map, 2L * BLOCK);
        ByteBuffer used = little(BLOCK);
        set(used, 0, lastInode());
        set(used, inodeCount, MAX_INODES); // beyond the table
        writeAt(used, 3L * BLOCK);
    }

    /** The first ten are reserved, the root's among them. */
    private int lastInode() {
        return FIRST_INO - 1 + order.size() - 1;
    }

    private void writeSuperBlock(int inodeCount) throws IOException {
        int freeBlocks = BLOCKS - nextBlock;
        int freeInodes = inodeCount - lastInode();
        ByteBuffer s = little(1024);
        s.putInt(0, inodeCount);
        s.putInt(4, BLOCKS);
        s.putInt(12, freeBlocks);
        s.putInt(16, freeInodes);
        s.putInt(24, 2); // s_log_block_size: 1024 << 2
        s.putInt(28, 2); // s_log_cluster_size
        s.putInt(32, BLOCKS); // s_blocks_per_group
        s.putInt(36, BLOCKS);
        s.putInt(40, inodeCount);
        s.putShort(54, (short) -1); // s_max_mnt_count
        s.putShort(56, (short) 0xef53); // s_magic
        s.putShort(58, (short) 1); // s_state: EXT4_VALID_FS
        s.putShort(60, (short) 1); // s_errors: continue
        s.putInt(76, 1); // s_rev_level: EXT4_DYNAMIC_REV
        s.putInt(84, FIRST_INO);
        s.putShort(88, (short) INODE_SIZE);
        s.putInt(96, EXT4_FEATURE_INCOMPAT_FILETYPE | EXT4_FEATURE_INCOMPAT_EXTENTS);
        s.putInt(100, EXT4_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT4_FEATURE_RO_COMPAT_LARGE_FILE);
        writeAt(s, SUPER_BLOCK);
        ByteBuffer group = little(32);
        group.putInt(0, 2);
        group.putInt(4, 3);
        group.putInt(8, INODE_TABLE);
        group.putShort(12, (short) freeBlocks);
        group.putShort(14, (short) freeInodes);
        group.putShort(16, (short) directories);
        writeAt(group, BLOCK);
    }

    private static void set(ByteBuffer map, int from, int to) {
        for (int i = from; i < to; i++) {
            map.put(i / 8, (byte) (map.get(i / 8) | (1 << (i % 8))));
        }
    }

    private static boolean isLink(FileTree.Node node) {
        return node.type() == FileTree.S_IFLNK;
    }

    /** The directory entry's file_type, EXT4_FT_*. */
    private static byte fileType(FileTree.Node node) {
        return switch (node.type()) {
            case FileTree.S_IFREG -> 1;
            case FileTree.S_IFDIR -> FT_DIR;
            case FileTree.S_IFCHR -> 3;
            case FileTree.S_IFBLK -> 4;
            case FileTree.S_IFIFO -> 5;
            case FileTree.S_IFSOCK -> 6;
            case FileTree.S_IFLNK -> 7;
            default -> 0;
        };
    }

    private static ByteBuffer little(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void writeAt(ByteBuffer bytes, long position) throws IOException {
        long at = position;
        while (bytes.hasRemaining()) {
            at += out.write(bytes, at);
        }
    }
}
