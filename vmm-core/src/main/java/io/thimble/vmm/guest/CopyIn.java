package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import io.thimble.vmm.CopyOptions;
import io.thimble.vmm.CopyResult;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;

/** Sends files of the host to the guest. Symbolic links below the first name are sent as links. Blocks of zeros go as holes. */
final class CopyIn {
    private static final int PERMISSIONS = 07777;
    private static final int S_IFMT = 0170000; // linux/stat.h, as those below
    private static final int S_IFREG = 0100000;
    private static final int S_IFDIR = 0040000;
    private static final int S_IFLNK = 0120000;

    private final ByteChannel channel;
    private final CopyOptions options;
    private final WireWriter writer;
    private final ByteBuffer block = ByteBuffer.allocate(MAX_PAYLOAD);
    private final ByteBuffer entry =
            ByteBuffer.allocate(ENTRY + MAX_NAME + 1 + MAX_PATH).order(ByteOrder.LITTLE_ENDIAN);
    private long entries;
    private long total;
    private long skipped;

    CopyIn(ByteChannel channel, CopyOptions options) {
        this.channel = channel;
        this.options = options;
        writer = new WireWriter(channel);
    }

    CopyResult copy(Path source, String target) throws IOException {
        byte[] path = ExecRequest.path("path", target(source, target));
        String owner = options.owner().orElse(null);
        try {
            writer.open(COPY_IN);
            writer.send(PATH, path);
            if (owner != null) {
                writer.send(USER, ExecRequest.text("owner", owner));
            }
            sendTree(source, new byte[0], true, 0);
            writer.send(DONE);
        } catch (FileSystemException | GuestException e) {
            throw e;
        } catch (IOException e) {
            throw refusal(e);
        }
        return result();
    }

    /** A target that ends with a slash is a directory to copy into, under the source's own name. */
    static String target(Path source, String target) {
        Path name = source.toAbsolutePath().normalize().getFileName();
        return target.endsWith("/") && name != null ? target + name : target;
    }

    /** The guest does not take any more: it has said why. */
    private IOException refusal(IOException failure) {
        try {
            result();
        } catch (GuestException e) {
            return e;
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
        return failure;
    }

    private CopyResult result() throws IOException {
        WireReader reader = new WireReader(channel);
        while (reader.next()) {
            if (reader.type() == ERROR) {
                throw reader.error();
            }
            if (reader.type() == DONE && reader.payload().remaining() >= 16) {
                return new CopyResult(entries, reader.payload().getLong(8), skipped);
            }
        }
        throw new EOFException("the guest agent ended the connection");
    }

    private void sendTree(Path path, byte[] name, boolean root, int depth) throws IOException {
        LinkOption[] follow = root ? new LinkOption[0] : new LinkOption[] {LinkOption.NOFOLLOW_LINKS};
        Map<String, Object> attributes = Files.readAttributes(path, "unix:mode,lastModifiedTime", follow);
        int mode = (Integer) Objects.requireNonNull(attributes.get("mode"));
        FileTime modified = (FileTime) Objects.requireNonNull(attributes.get("lastModifiedTime"));
        switch (mode & S_IFMT) {
            case S_IFREG -> {
                begin(FILE, mode, modified, name, path);
                sendContent(path, root);
                writer.send(UP);
            }
            case S_IFDIR -> {
                limit(depth < options.maxDepth(), path, "directories inside each other", options.maxDepth());
                begin(FOLDER, mode, modified, name, path);
                try (DirectoryStream<Path> children = Files.newDirectoryStream(path)) {
                    for (Path child : children) {
                        sendTree(child, bytes(child, child.getFileName()), false, depth + 1);
                    }
                }
                writer.send(UP);
            }
            case S_IFLNK -> {
                byte[] target = bytes(path, Files.readSymbolicLink(path));
                fill(mode, modified, name, path).put((byte) 0).put(target);
                writer.send(LINK, entry.flip());
            }
            default -> {
                if (root) {
                    throw new FileSystemException(path.toString(), null, "is neither a file nor a directory");
                }
                skipped++;
            }
        }
    }

    private void begin(int type, int mode, FileTime modified, byte[] name, Path path) throws IOException {
        fill(mode, modified, name, path);
        writer.send(type, entry.flip());
    }

    private ByteBuffer fill(int mode, FileTime modified, byte[] name, Path path) throws IOException {
        limit(entries < options.maxEntries(), path, "files, directories and links", options.maxEntries());
        entries++;
        Instant instant = modified.toInstant(); // its seconds are rounded down, as Linux's
        return entry.clear()
                .putShort((short) (mode & PERMISSIONS))
                .putShort((short) 0)
                .putInt(instant.getNano())
                .putLong(instant.getEpochSecond())
                .put(name);
    }

    private void sendContent(Path path, boolean root) throws IOException {
        try (FileChannel file = root
                ? FileChannel.open(path, StandardOpenOption.READ)
                : FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
            long hole = 0;
            while (fillBlock(file)) {
                limit(block.remaining() <= options.maxBytes() - total, path, "bytes", options.maxBytes());
                total += block.remaining();
                if (block.remaining() == MAX_PAYLOAD && isZero()) {
                    hole += MAX_PAYLOAD;
                    continue;
                }
                sendHole(hole);
                hole = 0;
                writer.send(DATA, block);
            }
            sendHole(hole);
        }
    }

    private boolean fillBlock(FileChannel file) throws IOException {
        block.clear();
        while (block.hasRemaining() && file.read(block) >= 0) {}
        block.flip();
        return block.hasRemaining();
    }

    private boolean isZero() {
        for (int i = 0; i < MAX_PAYLOAD; i += Long.BYTES) {
            if (block.getLong(i) != 0) {
                return false;
            }
        }
        return true;
    }

    private void sendHole(long length) throws IOException {
        if (length > 0) {
            writer.send(
                    HOLE,
                    ByteBuffer.allocate(Long.BYTES)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(length)
                            .flip());
        }
    }

    /** Java has made text of a name's bytes, by the locale; what does not survive that is refused. */
    private static byte[] bytes(Path path, Path name) throws FileSystemException {
        String text = name.toString();
        if (!path.getFileSystem().getPath(text).equals(name)) {
            throw new FileSystemException(
                    path.toString(), null, "has a name that this process's locale cannot express - set LC_ALL=C.UTF-8");
        }
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void limit(boolean kept, Path path, String what, long most) throws GuestException {
        if (!kept) {
            throw new GuestException(Problem.LIMIT, path + ": the copy has more than " + most + " " + what);
        }
    }
}
