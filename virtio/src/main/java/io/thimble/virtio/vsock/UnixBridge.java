package io.thimble.virtio.vsock;

import io.thimble.linux.Fd;
import io.thimble.linux.LinuxException;
import io.thimble.linux.UnixSockets;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.memory.GuestMemory;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.queue.IoVectors;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Ties the guest's ports to Unix sockets, by the convention that Firecracker's documentation describes (docs/vsock.md there):
 * who connects to PATH writes {@code CONNECT port\n} and reads {@code OK hostport\n} when the guest has accepted; when the guest
 * connects to the host's port N, the host's end is a connection to PATH_N.
 *
 * <p>On the loop's thread, or before it has started.
 */
final class UnixBridge {
    /** The longest first line: {@code CONNECT 4294967295\r\n}, and some room. */
    static final int MOST_COMMAND = 32;

    private static final Pattern COMMAND = Pattern.compile("CONNECT +(\\d{1,10})\\r?", Pattern.CASE_INSENSITIVE);
    private static final int BACKLOG = 1024;
    private static final int PERMISSIONS = 0600;
    /** Of all ports' names. */
    private static final int LONGEST_SUFFIX = "_4294967295".length();

    private final Path path;
    private final DeviceLoop loop;
    private final int mostEndpoints;
    private final VsockDevice device;
    private final UnixSockets sockets = new UnixSockets();
    private final Arena arena = Arena.ofShared();
    private final Fd listener;
    private final long watchKey;
    private final Set<UnixEndpoint> endpoints = new HashSet<>();
    private final Deque<MemorySegment> freeChunks = new ArrayDeque<>();
    private @Nullable IoVectors vectors;
    private boolean closed;

    /**
     * Listens.
     *
     * @param mostEndpoints how many connections there may be at a time, those included that have not said where to
     * @throws IOException if the path is too long, in use, or left over; with the remedy
     */
    UnixBridge(Path path, int mostEndpoints, DeviceLoop loop, VsockDevice device) throws IOException {
        this.path = path.toAbsolutePath();
        this.mostEndpoints = mostEndpoints;
        this.loop = loop;
        this.device = device;
        try {
            this.listener = listen();
        } catch (IOException | RuntimeException e) {
            sockets.close();
            arena.close();
            throw e;
        }
        // By edges, so that a connection for which no descriptor is left does not keep the loop busy.
        this.watchKey =
                loop.watch(listener, EventpollConstants.EPOLLIN | (int) EventpollConstants.EPOLLET, this::accept);
    }

    private Fd listen() throws IOException {
        int length = path.toString().getBytes(StandardCharsets.UTF_8).length;
        if (length > UnixSockets.MAX_PATH - LONGEST_SUFFIX) {
            throw new IOException("vsock socket " + path + ": the path has " + length + " bytes - use at most "
                    + (UnixSockets.MAX_PATH - LONGEST_SUFFIX));
        }
        try {
            return sockets.listen(path.toString(), PERMISSIONS, BACKLOG);
        } catch (LinuxException e) {
            throw new IOException("vsock socket " + e.getMessage() + remedy(e), e);
        }
    }

    private String remedy(LinuxException e) {
        return switch (e.errno()) {
            case Errnos.EADDRINUSE -> " - " + whoHasIt();
            case Errnos.ENOENT -> " - make its directory first";
            case Errnos.EACCES, Errnos.EROFS -> " - name one in a directory that you may write to";
            default -> "";
        };
    }

    private String whoHasIt() {
        try {
            sockets.connect(path.toString()).close();
            return "another program listens there: choose another path";
        } catch (LinuxException e) {
            return e.errno() == Errnos.ECONNREFUSED && !Files.isRegularFile(path)
                    ? "nobody listens there any more: remove the file (rm '" + path + "')"
                    : "the file exists already: choose another path";
        }
    }

    UnixSockets sockets() {
        return sockets;
    }

    DeviceLoop loop() {
        return loop;
    }

    private void accept() {
        while (!closed) {
            Optional<Fd> accepted;
            try {
                accepted = sockets.accept(listener);
            } catch (LinuxException e) {
                return; // the next connection, or one that closes, tries again
            }
            if (accepted.isEmpty()) {
                return;
            }
            if (endpoints.size() >= mostEndpoints) {
                accepted.get().close();
            } else {
                endpoints.add(new UnixEndpoint(this, accepted.get(), true));
            }
        }
    }

    /** Obeys the first line of a connection. */
    void connect(String command, UnixEndpoint endpoint) {
        Matcher matcher = COMMAND.matcher(command);
        long port = matcher.matches() ? Long.parseLong(matcher.group(1)) : Long.MAX_VALUE;
        if (port > 0xffff_ffffL) {
            endpoint.close();
        } else {
            device.connect((int) port, endpoint);
        }
    }

    /** Makes the end of a connection from the guest; null if nobody listens. */
    @Nullable
    HostEndpoint open(int hostPort) {
        if (endpoints.size() >= mostEndpoints) {
            return null;
        }
        try {
            Fd fd = sockets.connect(path + "_" + Integer.toUnsignedString(hostPort));
            UnixEndpoint endpoint = new UnixEndpoint(this, fd, false);
            endpoints.add(endpoint);
            return endpoint;
        } catch (LinuxException e) {
            return null;
        }
    }

    /** Returns the array for system calls on guest memory. */
    IoVectors vectors(GuestMemory memory) {
        IoVectors all = vectors;
        if (all == null) {
            all = new IoVectors(memory, arena.allocate((long) IoVectors.IOV_MAX * IoVectors.SIZEOF, Long.BYTES));
            vectors = all;
        }
        return all;
    }

    MemorySegment takeChunk() {
        MemorySegment chunk = freeChunks.poll();
        return chunk == null ? arena.allocate(ByteRing.CHUNK) : chunk;
    }

    void giveChunk(MemorySegment chunk) {
        freeChunks.push(chunk);
    }

    void closed(UnixEndpoint endpoint) {
        endpoints.remove(endpoint);
        if (!closed) {
            accept();
        }
    }

    /** Closes everything and removes the file. */
    void close() {
        if (closed) {
            return;
        }
        closed = true;
        loop.unwatch(listener, watchKey);
        listener.close();
        new ArrayList<>(endpoints).forEach(UnixEndpoint::close);
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            // It names nothing any more; the next VM there will say what to do.
        }
        sockets.close();
        arena.close();
    }
}
