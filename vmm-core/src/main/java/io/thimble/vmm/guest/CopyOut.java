package io.thimble.vmm.guest;

import static io.thimble.vmm.guest.WireProtocol.*;

import io.thimble.linux.Directory;
import io.thimble.linux.Errno;
import io.thimble.linux.Fd;
import io.thimble.linux.FileIo;
import io.thimble.linux.LinuxException;
import io.thimble.linux.abi.IovecLayout;
import io.thimble.vmm.CopyOptions;
import io.thimble.vmm.CopyResult;
import io.thimble.vmm.GuestException;
import io.thimble.vmm.GuestException.Problem;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;

/**
 * Writes what a hostile guest sends below one name of the host. Each name is one component in the directory that is open, no link is
 * followed, and of kinds there are files, directories and links only: see {@link Directory}. Set-id and sticky bits are dropped.
 * Counts, sizes and depth have limits.
 */
final class CopyOut {
    private static final int PERMISSIONS = 0777;
    private static final int MAX_NANOS = 999_999_999;

    private final ByteChannel channel;
    private final CopyOptions options;
    private final WireReader reader;

    /** What an entry gets when it is complete. */
    private record Attributes(int permissions, long seconds, int nanos) {}

    /** A directory that is being filled. */
    private record Level(Directory directory, String name, Attributes attributes) {}

    private final Deque<Level> levels = new ArrayDeque<>();
    private byte[] rootName = {};
    private boolean rootSeen;
    private @Nullable Fd file;
    private String fileName = "";
    private Attributes fileAttributes = new Attributes(0, 0, 0);
    private long fileSize;
    private long entries;
    private long bytes;
    private long total;

    CopyOut(ByteChannel channel, CopyOptions options) {
        this.channel = channel;
        this.options = options;
        reader = new WireReader(channel);
    }

    CopyResult copy(String source, Path target) throws IOException {
        byte[] path = ExecRequest.path("path", source);
        Path absolute = target.toAbsolutePath().normalize();
        Path parent = absolute.getParent();
        Path name = absolute.getFileName();
        if (parent == null || name == null) {
            throw new FileSystemException(target.toString(), null, "is no name that a copy can get");
        }
        rootName = name.toString().getBytes(StandardCharsets.UTF_8);
        try (Directory outside = openParent(parent);
                Arena arena = Arena.ofConfined()) {
            WireWriter writer = new WireWriter(channel);
            writer.open(COPY_OUT);
            writer.send(PATH, path);
            levels.push(new Level(outside, parent.toString(), new Attributes(0, 0, 0)));
            return receive(new Block(arena));
        } finally {
            closeAll();
        }
    }

    private static Directory openParent(Path parent) throws FileSystemException {
        try {
            return Directory.open(parent.toString());
        } catch (LinuxException e) {
            throw new FileSystemException(parent.toString(), null, Errno.describe(e.errno()));
        }
    }

    /** Memory outside the heap for one frame's data, which a system call reads. */
    private static final class Block {
        private final MemorySegment data;
        private final MemorySegment iovec;

        Block(Arena arena) {
            data = arena.allocate(MAX_PAYLOAD);
            iovec = arena.allocate(IovecLayout.SIZEOF, Long.BYTES);
        }

        void write(Fd target, ByteBuffer payload, long offset) {
            long length = payload.remaining();
            data.copyFrom(MemorySegment.ofBuffer(payload));
            for (long done = 0; done < length; ) {
                iovec.set(ValueLayout.JAVA_LONG, IovecLayout.OFFSETOF_IOV_BASE, data.address() + done);
                iovec.set(ValueLayout.JAVA_LONG, IovecLayout.OFFSETOF_IOV_LEN, length - done);
                done += LinuxException.check("write", FileIo.pwritev(target, iovec.address(), 1, offset + done, 0));
            }
        }
    }

    private CopyResult receive(Block block) throws IOException {
        while (reader.next()) {
            ByteBuffer payload = reader.payload();
            try {
                switch (reader.type()) {
                    case FILE, FOLDER, LINK -> entry(reader.type(), payload);
                    case DATA -> data(block, payload);
                    case HOLE -> hole(payload);
                    case UP -> up();
                    case DONE -> {
                        return done(payload);
                    }
                    case ERROR -> throw reader.error();
                    default -> {} // of a later version
                }
            } catch (LinuxException e) {
                throw new FileSystemException(where(), null, e.operation() + ": " + Errno.describe(e.errno()));
            }
        }
        throw new EOFException("the guest agent ended the connection");
    }

    private String where() {
        StringBuilder path = new StringBuilder();
        for (Iterator<Level> outermost = levels.descendingIterator(); outermost.hasNext(); ) {
            path.append(outermost.next().name()).append('/');
        }
        return path.append(fileName).toString();
    }

    private void entry(int type, ByteBuffer payload) throws IOException {
        require(payload.remaining() >= ENTRY && file == null);
        int permissions = Short.toUnsignedInt(payload.getShort()) & PERMISSIONS;
        payload.getShort();
        int nanos = payload.getInt();
        long seconds = payload.getLong();
        require(nanos >= 0 && nanos <= MAX_NANOS);
        Attributes attributes = new Attributes(permissions, seconds, nanos);
        byte[] text = new byte[payload.remaining()]; // at most a frame
        payload.get(text);
        int end = 0;
        while (type == LINK && end < text.length && text[end] != 0) {
            end++;
        }
        byte[] name = type == LINK ? Arrays.copyOf(text, end) : text;
        name = place(name);
        count();
        Directory here = here().directory();
        fileName = GuestText.printable(new String(name, StandardCharsets.UTF_8));
        switch (type) {
            case FILE -> {
                file = here.makeFile(name);
                fileAttributes = attributes;
                fileSize = 0;
            }
            case FOLDER -> {
                limit(levels.size() <= options.maxDepth(), "directories inside each other", options.maxDepth());
                levels.push(new Level(here.makeDirectory(name), fileName, attributes));
            }
            default -> here.makeLink(name, linkTarget(text, end), seconds, nanos);
        }
        if (type != FILE) {
            fileName = "";
        }
    }

    private byte[] linkTarget(byte[] text, int end) throws GuestException {
        int length = text.length - end - 1;
        require(length > 0 && length <= MAX_PATH);
        byte[] target = Arrays.copyOfRange(text, end + 1, text.length);
        for (byte b : target) {
            require(b != 0);
        }
        return target;
    }

    /** Returns under which name an entry goes: the outermost one under the target's, all others under one of their own. */
    private byte[] place(byte[] name) throws GuestException {
        if (levels.size() > 1) {
            require(Directory.isName(name));
            return name;
        }
        require(!rootSeen && name.length == 0);
        rootSeen = true;
        return rootName;
    }

    private void data(Block block, ByteBuffer payload) throws GuestException {
        Fd open = openFile();
        int length = payload.remaining();
        grow(length);
        block.write(open, payload, fileSize - length);
        bytes += length;
    }

    private void hole(ByteBuffer payload) throws GuestException {
        Fd open = openFile();
        require(payload.remaining() >= Long.BYTES);
        long length = payload.getLong();
        require(length >= 0);
        grow(length);
        LinuxException.check("truncate", FileIo.ftruncate(open, fileSize));
    }

    private void grow(long length) throws GuestException {
        limit(length <= options.maxBytes() - total, "bytes", options.maxBytes());
        total += length;
        fileSize += length;
    }

    private Fd openFile() throws GuestException {
        Fd open = file;
        if (open == null) {
            throw reader.unexpected();
        }
        return open;
    }

    private void up() throws GuestException {
        Fd open = file;
        if (open != null) {
            file = null;
            Directory.finish(open, fileAttributes.permissions, fileAttributes.seconds, fileAttributes.nanos);
            fileName = "";
            return;
        }
        require(levels.size() > 1);
        Level level = levels.pop();
        Attributes attributes = level.attributes();
        level.directory().finish(attributes.permissions, attributes.seconds, attributes.nanos);
    }

    private CopyResult done(ByteBuffer payload) throws GuestException {
        require(rootSeen && levels.size() == 1 && file == null && payload.remaining() >= 24);
        return new CopyResult(entries, bytes, Math.max(0, payload.getLong(16)));
    }

    private void count() throws GuestException {
        limit(entries < options.maxEntries(), "files, directories and links", options.maxEntries());
        entries++;
    }

    private Level here() {
        return levels.getFirst();
    }

    private void limit(boolean kept, String what, long most) throws GuestException {
        if (!kept) {
            throw new GuestException(Problem.LIMIT, where() + ": the copy has more than " + most + " " + what);
        }
    }

    private void require(boolean rule) throws GuestException {
        if (!rule) {
            throw reader.unexpected();
        }
    }

    private void closeAll() {
        if (file != null) {
            file.close();
        }
        levels.forEach(level -> level.directory().close());
    }
}
