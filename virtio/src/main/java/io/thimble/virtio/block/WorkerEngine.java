package io.thimble.virtio.block;

import io.thimble.linux.EventFd;
import io.thimble.linux.Fd;
import io.thimble.linux.FileIo;
import io.thimble.linux.abi.FsConstants;
import io.thimble.virtio.queue.IoVectors;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * I/O by blocking system calls on a few threads, for hosts without io_uring. Threads are started as they are needed and end
 * with the engine.
 */
final class WorkerEngine implements BlockEngine {
    private static final int CAPACITY = 128;
    private static final int MOST_THREADS = 8;
    private static final long STACK_SIZE = 256 * 1024;

    private static final int READ = 0;
    private static final int WRITE = 1;
    private static final int DURABLE_WRITE = 2;
    private static final int SYNC = 3;
    private static final int ALLOCATE = 4;

    private final String name;
    private final Fd file;
    private final EventFd event;

    // An operation's arguments; written by the owner before it is in toDo, read by one worker after that.
    private final int[] operation = new int[CAPACITY];
    private final long[] address = new long[CAPACITY];
    private final int[] count = new int[CAPACITY];
    private final long[] offset = new long[CAPACITY];
    private final long[] length = new long[CAPACITY];
    private final int[] result = new int[CAPACITY];

    private final int[] staged = new int[CAPACITY]; // the owner's
    private final int[] taken = new int[CAPACITY]; // the owner's
    private int stagedCount;
    private int inFlight;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition work = lock.newCondition();
    private final IdQueue toDo = new IdQueue(CAPACITY); // guarded by lock, as those below
    private final IdQueue done = new IdQueue(CAPACITY);
    private final List<Thread> threads = new ArrayList<>(MOST_THREADS);
    private int idle;
    private volatile boolean anyDone; // written under the lock
    private boolean stopping;

    /** Starts no thread yet. */
    WorkerEngine(String name, Fd file) {
        this.name = name;
        this.file = file;
        this.event = new EventFd(name + " workers");
    }

    @Override
    public String name() {
        return "threads";
    }

    @Override
    public int capacity() {
        return CAPACITY;
    }

    @Override
    public Fd event() {
        return event.fd();
    }

    @Override
    public boolean hasCompletions() {
        return anyDone;
    }

    @Override
    public boolean wantEvent() {
        return anyDone; // the event is signalled in any case
    }

    @Override
    public void read(int id, IoVectors vectors, long at) {
        stage(id, READ, vectors.address(), vectors.count(), at, 0);
    }

    @Override
    public void write(int id, IoVectors vectors, long at, boolean durable) {
        stage(id, durable ? DURABLE_WRITE : WRITE, vectors.address(), vectors.count(), at, 0);
    }

    @Override
    public void sync(int id) {
        stage(id, SYNC, 0, 0, 0, 0);
    }

    @Override
    public void allocate(int id, int mode, long at, long bytes) {
        stage(id, ALLOCATE, 0, mode, at, bytes);
    }

    private void stage(int id, int op, long iovecs, int number, long at, long bytes) {
        operation[id] = op;
        address[id] = iovecs;
        count[id] = number;
        offset[id] = at;
        length[id] = bytes;
        staged[stagedCount++] = id;
        inFlight++;
    }

    @Override
    public void submit() {
        if (stagedCount == 0) {
            return;
        }
        lock.lock();
        try {
            for (int i = 0; i < stagedCount; i++) {
                toDo.add(staged[i]);
            }
            for (int i = Math.min(idle, stagedCount); i > 0; i--) {
                work.signal();
            }
            for (int i = idle; i < toDo.size() && threads.size() < MOST_THREADS; i++) {
                startThread();
            }
        } finally {
            lock.unlock();
        }
        stagedCount = 0;
    }

    private void startThread() {
        Thread thread = Thread.ofPlatform()
                .name(name + "-worker" + threads.size())
                .daemon(true)
                .stackSize(STACK_SIZE)
                .unstarted(this::serve);
        thread.start();
        threads.add(thread);
    }

    private void serve() {
        lock.lock();
        try {
            while (true) {
                while (toDo.isEmpty() && !stopping) {
                    idle++;
                    work.awaitUninterruptibly();
                    idle--;
                }
                if (stopping) {
                    return;
                }
                int id = toDo.remove();
                lock.unlock();
                try {
                    result[id] = (int) perform(id);
                } finally {
                    lock.lock();
                }
                boolean first = done.isEmpty();
                done.add(id);
                anyDone = true;
                if (first) {
                    event.signal();
                }
            }
        } finally {
            lock.unlock();
        }
    }

    private long perform(int id) {
        return switch (operation[id]) {
            case READ -> FileIo.preadv(file, address[id], count[id], offset[id]);
            case WRITE -> FileIo.pwritev(file, address[id], count[id], offset[id], 0);
            case DURABLE_WRITE -> FileIo.pwritev(file, address[id], count[id], offset[id], FsConstants.RWF_DSYNC);
            case SYNC -> FileIo.fdatasync(file);
            default -> FileIo.fallocate(file, count[id], offset[id], length[id]);
        };
    }

    @Override
    public int complete(Completions completions) {
        int number;
        lock.lock();
        try {
            number = done.size();
            for (int i = 0; i < number; i++) {
                taken[i] = done.remove();
            }
            anyDone = false;
        } finally {
            lock.unlock();
        }
        inFlight -= number;
        for (int i = 0; i < number; i++) {
            completions.completed(taken[i], result[taken[i]]);
        }
        return number;
    }

    @Override
    public int inFlight() {
        return inFlight;
    }

    @Override
    public boolean close(Duration deadline) {
        long end = System.nanoTime() + deadline.toNanos();
        List<Thread> ending;
        lock.lock();
        try {
            stopping = true;
            work.signalAll();
            ending = List.copyOf(threads);
        } finally {
            lock.unlock();
        }
        boolean ended = true;
        boolean interrupted = false;
        for (Thread thread : ending) {
            try {
                ended &= thread.join(Duration.ofNanos(Math.max(1, end - System.nanoTime())));
            } catch (InterruptedException e) {
                interrupted = true;
                ended &= !thread.isAlive();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (ended) {
            event.close();
        }
        return ended;
    }
}
