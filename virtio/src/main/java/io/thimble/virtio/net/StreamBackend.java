package io.thimble.virtio.net;

import io.thimble.linux.Fd;
import io.thimble.linux.Mman;
import io.thimble.linux.Syscall;
import io.thimble.linux.abi.Errnos;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.linux.abi.Syscalls;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.queue.IoVectors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.OptionalInt;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Frames through a stream socket to another process, each behind its length as 4 bytes, big endian: what passt and QEMU's
 * {@code -netdev stream} speak. Without offloads, but with frames as large as the MTU allows.
 *
 * <p>Frames to the driver are read many at a time into a buffer and copied; what the other process sends beyond that waits in the
 * socket. Frames from the driver are written from guest memory; the rest of one that the socket takes only in part is kept.
 */
public final class StreamBackend implements NetBackend {
    private static final int READ = EventpollConstants.EPOLLIN | (int) EventpollConstants.EPOLLET;
    private static final int READ_AND_WRITE = READ | EventpollConstants.EPOLLOUT;
    private static final int LENGTH_BYTES = Integer.BYTES;
    private static final int INPUT = 1 << 18;
    private static final ValueLayout.OfInt BE32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private final String name;
    private final Fd socket;
    private final int mtu;
    private final Supplier<String> lastWords;
    private final Runnable closed;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment input = Mman.anonymous(arena, INPUT);
    private final MemorySegment rest = Mman.anonymous(arena, NetDevice.MAX_FRAME + LENGTH_BYTES);
    private final MemorySegment prefix = arena.allocate(LENGTH_BYTES);
    private final MemorySegment noHeader = arena.allocate(PacketHeader.SIZE);
    private int inputStart;
    private int inputEnd;
    private int restStart;
    private int restEnd;
    private boolean broken;
    private @Nullable DeviceLoop loop;
    private @Nullable Events events;
    private long watch;

    /**
     * Takes over a connection.
     *
     * @param name of the other process, for messages
     * @param socket a stream that does not block
     * @param mtu the largest frame that the other process takes, without the Ethernet header
     * @param lastWords tells what the other process has said, for the message when the connection is lost; may be empty
     * @param closed is run when the device closes, for whoever runs the other process
     */
    public StreamBackend(String name, Fd socket, int mtu, Supplier<String> lastWords, Runnable closed) {
        this.name = name;
        this.socket = socket;
        this.mtu = mtu;
        this.lastWords = lastWords;
        this.closed = closed;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public long offloads() {
        return 0;
    }

    @Override
    public int queuePairs() {
        return 1;
    }

    @Override
    public OptionalInt mtu() {
        return OptionalInt.of(mtu);
    }

    @Override
    public void start(DeviceLoop newLoop, Events newEvents) {
        loop = newLoop;
        events = newEvents;
        watch = newLoop.watch(socket, restEnd > 0 ? READ_AND_WRITE : READ, this::ready);
    }

    private void ready() {
        Events told = events;
        DeviceLoop on = loop;
        if (told == null || on == null) {
            return;
        }
        boolean waited = restEnd > 0;
        told.readable(0);
        if (restEnd > 0) {
            flush();
        }
        if (waited && restEnd == 0 && events != null) {
            on.rewatch(socket, watch, READ);
            told.writable(0);
        }
    }

    @Override
    public void stop() {
        DeviceLoop before = loop;
        if (before != null) {
            before.unwatch(socket, watch);
        }
        loop = null;
        events = null;
    }

    @Override
    public void setGuestOffloads(long offloads) {}

    @Override
    public void setActivePairs(int pairs) {}

    @Override
    public void setCarrier(boolean present) {}

    @Override
    public int send(int pair, TransmitPacket packet) {
        if (broken) {
            return DROPPED;
        }
        if (restEnd > 0) {
            return BUSY;
        }
        long frame = packet.frameLength();
        prefix.set(BE32, 0, (int) frame);
        IoVectors vectors = packet.vectors(prefix);
        long written = call(Syscalls.SYS_writev, vectors.address(), vectors.count());
        if (written < 0 && written != -Errnos.EAGAIN) {
            lose(written);
            return DROPPED;
        }
        long done = Math.max(0, written);
        if (done < LENGTH_BYTES + frame) {
            keepRest(packet, (int) done);
        }
        return SENT;
    }

    /** Keeps what the socket did not take, and waits for room. */
    private void keepRest(TransmitPacket packet, int done) {
        int frame = (int) packet.frameLength();
        MemorySegment.copy(prefix, 0, rest, 0, LENGTH_BYTES);
        packet.copyFrame(0, rest, LENGTH_BYTES, frame);
        restStart = done;
        restEnd = LENGTH_BYTES + frame;
        DeviceLoop on = loop;
        if (on != null) {
            on.rewatch(socket, watch, READ_AND_WRITE);
        }
    }

    /** Writes what was kept, as far as the socket takes it. */
    private void flush() {
        long written = call(Syscalls.SYS_write, rest.address() + restStart, restEnd - restStart);
        if (written < 0) {
            if (written != -Errnos.EAGAIN) {
                lose(written);
            }
            return;
        }
        restStart += (int) written;
        if (restStart == restEnd) {
            restStart = 0;
            restEnd = 0;
        }
    }

    @Override
    public long receive(int pair, ReceiveBuffers buffers) {
        while (!broken) {
            int available = inputEnd - inputStart;
            if (available >= LENGTH_BYTES) {
                int frame = input.get(BE32, inputStart);
                if (frame < 1 || frame > NetDevice.MAX_FRAME) {
                    lose("a frame of " + Integer.toUnsignedString(frame) + " bytes");
                    return 0;
                }
                if (available >= LENGTH_BYTES + frame) {
                    buffers.write(0, noHeader, 0, PacketHeader.SIZE);
                    buffers.write(PacketHeader.SIZE, input, inputStart + LENGTH_BYTES, frame);
                    inputStart += LENGTH_BYTES + frame;
                    return (long) PacketHeader.SIZE + frame;
                }
            }
            if (!readMore()) {
                return 0;
            }
        }
        return 0;
    }

    private boolean readMore() {
        int available = inputEnd - inputStart;
        if (inputStart > 0) {
            MemorySegment.copy(input, inputStart, input, 0, available);
            inputStart = 0;
            inputEnd = available;
        }
        long read = call(Syscalls.SYS_read, input.address() + inputEnd, INPUT - inputEnd);
        if (read == 0) {
            lose("it has ended");
        } else if (read < 0 && read != -Errnos.EAGAIN) {
            lose(read);
        }
        inputEnd += (int) Math.max(0, read);
        return read > 0;
    }

    private long call(int number, long address, long length) {
        long result;
        do {
            result = Syscall.call(number, socket.number(), address, length);
        } while (result == -Errnos.EINTR);
        return result;
    }

    private void lose(long result) {
        lose("errno " + -result);
    }

    private void lose(String why) {
        broken = true;
        restEnd = 0;
        Events told = events;
        if (told != null) {
            String said = lastWords.get();
            told.lost(name + ": " + why + (said.isEmpty() ? "" : " (" + said + ")")
                    + "; the guest's link is down until the VM is started anew");
        }
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            socket.close();
            arena.close();
            closed.run();
        }
    }
}
