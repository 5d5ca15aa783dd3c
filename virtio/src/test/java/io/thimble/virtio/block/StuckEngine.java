package io.thimble.virtio.block;

import io.thimble.linux.EventFd;
import io.thimble.linux.Fd;
import io.thimble.virtio.queue.IoVectors;
import java.time.Duration;

/** Begins I/O, and ends none until {@link #letGo}: a network disk whose server is gone. */
final class StuckEngine implements BlockEngine, AutoCloseable {
    private final EventFd event = new EventFd("stuck");
    private final int[] ids = new int[8];
    private int count;
    private boolean stuck = true;

    void letGo() {
        stuck = false;
        event.signal();
    }

    private void begin(int id) {
        ids[count++] = id;
    }

    @Override
    public String name() {
        return "stuck";
    }

    @Override
    public int capacity() {
        return ids.length;
    }

    @Override
    public Fd event() {
        return event.fd();
    }

    @Override
    public boolean hasCompletions() {
        return !stuck && count > 0;
    }

    @Override
    public boolean wantEvent() {
        return hasCompletions();
    }

    @Override
    public void read(int id, IoVectors vectors, long offset) {
        begin(id);
    }

    @Override
    public void write(int id, IoVectors vectors, long offset, boolean durable) {
        begin(id);
    }

    @Override
    public void sync(int id) {
        begin(id);
    }

    @Override
    public void allocate(int id, int mode, long offset, long length) {
        begin(id);
    }

    @Override
    public void submit() {}

    @Override
    public int complete(Completions completions) {
        int ended = stuck ? 0 : count;
        while (!stuck && count > 0) {
            completions.completed(ids[--count], 0);
        }
        return ended;
    }

    @Override
    public int inFlight() {
        return count;
    }

    @Override
    public boolean close(Duration deadline) {
        return count == 0;
    }

    @Override
    public void close() {
        event.close();
    }
}
