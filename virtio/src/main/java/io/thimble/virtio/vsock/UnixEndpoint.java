package io.thimble.virtio.vsock;

import static io.thimble.linux.abi.EventpollConstants.EPOLLET;
import static io.thimble.linux.abi.EventpollConstants.EPOLLIN;
import static io.thimble.linux.abi.EventpollConstants.EPOLLOUT;
import static io.thimble.linux.abi.EventpollConstants.EPOLLRDHUP;

import io.thimble.linux.Fd;
import io.thimble.linux.LinuxException;
import io.thimble.linux.UnixSockets;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.VirtioVsockConstants;
import io.thimble.virtio.queue.DescriptorChain;
import io.thimble.virtio.queue.IoVectors;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The host's end of a connection that leads to a Unix socket. The guest's data goes from its buffers straight into the
 * socket; only what the socket has no room for is copied, and waits. Data for the guest is read straight into its buffers. On
 * the loop's thread.
 */
final class UnixEndpoint implements HostEndpoint {
    private static final int INTEREST = EPOLLIN | EPOLLRDHUP | (int) EPOLLET;

    private final UnixBridge bridge;
    private final UnixSockets sockets;
    private final Fd fd;
    private final long watchKey;

    private boolean commandAwaited;
    private boolean confirmAtOpen;
    private @Nullable HostConnection connection;
    private @Nullable ByteRing spill;
    private int window;
    private long consumed;
    private boolean watchesRoom;
    private boolean opened;
    private boolean mayHaveData = true;
    private boolean inputEnded; // the socket's other end sends nothing any more
    private boolean outputBroken; // it takes nothing any more
    private boolean outputEnds; // the guest sends nothing any more
    private boolean aborted;
    private boolean closed;

    /**
     * Takes over a connected socket.
     *
     * @param commandAwaited whether its other end is to say where it wants to be connected to
     */
    UnixEndpoint(UnixBridge bridge, Fd fd, boolean commandAwaited) {
        this.bridge = bridge;
        this.sockets = bridge.sockets();
        this.fd = fd;
        this.commandAwaited = commandAwaited;
        this.confirmAtOpen = commandAwaited;
        this.watchKey = bridge.loop().watch(fd, INTEREST, this::ready);
    }

    /** Something has happened to the socket. */
    private void ready() {
        if (closed) {
            return;
        }
        if (commandAwaited) {
            command();
            return;
        }
        mayHaveData = true;
        ByteRing waiting = spill;
        if (waiting != null && !waiting.isEmpty()) {
            flush(waiting);
        }
        HostConnection current = connection;
        if (current == null) {
            closeWhenFlushed();
            return;
        }
        // While no data can be read, the end of the socket shows only so.
        if ((!opened || inputEnded) && sockets.isHungUp(fd)) {
            outputBroken = true;
            aborted |= !opened;
        }
        current.touch();
    }

    private void command() {
        try {
            Optional<String> line = sockets.receiveLine(fd, UnixBridge.MOST_COMMAND);
            if (line.isPresent()) {
                commandAwaited = false;
                bridge.connect(line.get(), this);
            }
        } catch (LinuxException e) {
            close();
        }
    }

    @Override
    public void attached(HostConnection newConnection, int newWindow) {
        connection = newConnection;
        window = newWindow;
    }

    @Override
    public void opened() {
        opened = true;
        HostConnection current = connection;
        if (confirmAtOpen && current != null) {
            String reply = "OK " + Integer.toUnsignedString(current.hostPort()) + "\n";
            if (sockets.send(fd, reply) != reply.length()) {
                aborted = true; // the first bytes in an empty socket: its other end has gone
            }
        }
    }

    @Override
    public void receive(DescriptorChain chain, long offset, long length) {
        long done = 0;
        ByteRing waiting = spill;
        if (waiting == null || waiting.isEmpty()) {
            done = sendNow(chain, offset, length);
        }
        if (outputBroken) {
            consumed += length - done;
        } else if (done < length) {
            spillFor().write(chain, offset + done, length - done);
            watchRoom(true);
        }
    }

    /** Sends what the socket has room for. */
    private long sendNow(DescriptorChain chain, long offset, long length) {
        IoVectors vectors = bridge.vectors(chain.memory());
        long done = 0;
        while (done < length && !outputBroken) {
            vectors.clear();
            long described = vectors.addReadable(chain, offset + done, length - done);
            long sent = sockets.send(fd, vectors.address(), vectors.count());
            if (sent > 0) {
                done += sent;
                consumed += sent;
            }
            if (sent < described && !sendFailed(sent)) {
                break;
            }
        }
        return done;
    }

    /** Looks at the result of a send that did not take everything; returns whether to try again. */
    private boolean sendFailed(long result) {
        if (result == -Errnos.EINTR) {
            return true;
        }
        if (result < 0 && result != -Errnos.EAGAIN) {
            outputBroken = true;
        }
        return false;
    }

    private ByteRing spillFor() {
        ByteRing waiting = spill;
        if (waiting == null) {
            waiting = new ByteRing(window, bridge::takeChunk);
            spill = waiting;
        }
        return waiting;
    }

    private void flush(ByteRing waiting) {
        while (!waiting.isEmpty() && !outputBroken) {
            long length = waiting.frontLength();
            long sent = sockets.send(fd, waiting.frontChunk().asSlice(waiting.frontOffset(), length));
            if (sent > 0) {
                waiting.skip(sent);
                consumed += sent;
            }
            if (sent < length && !sendFailed(sent)) {
                break;
            }
        }
        if (outputBroken) {
            consumed += waiting.size();
            waiting.skip(waiting.size());
        }
        if (waiting.isEmpty()) {
            watchRoom(false);
            if (outputEnds) {
                sockets.shutdownOutput(fd);
            }
        }
    }

    private void watchRoom(boolean value) {
        if (watchesRoom != value) {
            watchesRoom = value;
            bridge.loop().rewatch(fd, watchKey, value ? INTEREST | EPOLLOUT : INTEREST);
        }
    }

    @Override
    public long consumed() {
        return consumed;
    }

    @Override
    public boolean hasData() {
        return mayHaveData;
    }

    @Override
    public long send(RxBuffers buffers, long most) {
        IoVectors vectors = buffers.vectors(most);
        long received = sockets.receive(fd, vectors.address(), vectors.count());
        if (received > 0) {
            return received;
        }
        if (received == 0) {
            inputEnded = true;
            outputBroken |= sockets.isHungUp(fd);
            return -1;
        }
        if (received == -Errnos.EAGAIN) {
            mayHaveData = false;
        } else if (received != -Errnos.EINTR) {
            aborted = true;
        }
        return 0;
    }

    @Override
    public int shutDownFlags() {
        return outputBroken ? VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_RCV : 0;
    }

    @Override
    public boolean isAborted() {
        return aborted;
    }

    @Override
    public void guestShutDown(int flags) {
        if ((flags & VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_SEND) != 0 && !outputEnds) {
            outputEnds = true;
            ByteRing waiting = spill;
            if (waiting == null || waiting.isEmpty()) {
                sockets.shutdownOutput(fd);
            }
        }
        if ((flags & VirtioVsockConstants.VIRTIO_VSOCK_SHUTDOWN_RCV) != 0) {
            sockets.shutdownInput(fd);
        }
    }

    @Override
    public void finished() {
        connection = null;
        closeWhenFlushed();
    }

    private void closeWhenFlushed() {
        ByteRing waiting = spill;
        if (waiting == null || waiting.isEmpty() || outputBroken) {
            close();
        }
    }

    @Override
    public void reset(String why) {
        connection = null;
        close();
    }

    /** Closes the socket, whatever waits. */
    void close() {
        if (closed) {
            return;
        }
        closed = true;
        bridge.loop().unwatch(fd, watchKey);
        fd.close();
        ByteRing waiting = spill;
        if (waiting != null) {
            waiting.free(bridge::giveChunk);
        }
        bridge.closed(this);
    }
}
