package io.thimble.virtio;

import io.thimble.linux.Epoll;
import io.thimble.linux.EventFd;
import io.thimble.linux.Fd;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.device.Poller;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.function.BooleanSupplier;

/** A loop that turns when the test says so, on the test's thread. */
public final class ManualLoop implements DeviceLoop, AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final Thread owner = Thread.currentThread();
    private final Epoll epoll = new Epoll("test", 64);
    private final EventFd wakeUp = new EventFd("test");
    private final Map<Long, Runnable> handlers = new HashMap<>();
    private final Queue<Runnable> tasks = new ArrayDeque<>();
    private final List<Poller> pollers = new ArrayList<>();
    private long nextKey = 1;

    /** Makes a loop for the calling thread to turn. */
    public ManualLoop() {
        watch(wakeUp.fd(), EventpollConstants.EPOLLIN, wakeUp::consume);
    }

    @Override
    public long watch(Fd fd, int interest, Runnable handler) {
        long key = nextKey++;
        handlers.put(key, handler);
        epoll.add(fd, interest, key);
        return key;
    }

    @Override
    public void rewatch(Fd fd, long key, int interest) {
        epoll.modify(fd, interest, key);
    }

    @Override
    public void unwatch(Fd fd, long key) {
        handlers.remove(key);
        epoll.remove(fd);
    }

    @Override
    public void addPoller(Poller poller) {
        pollers.add(poller);
    }

    @Override
    public void removePoller(Poller poller) {
        pollers.remove(poller);
    }

    @Override
    public boolean post(Runnable task) {
        synchronized (tasks) {
            tasks.add(task);
        }
        if (!isLoopThread()) {
            wakeUp.signal();
        }
        return true;
    }

    @Override
    public boolean isLoopThread() {
        return Thread.currentThread() == owner;
    }

    /** Asks the pollers once, as a loop does that is awake; returns whether one has found something. */
    public boolean poll() {
        boolean found = false;
        for (Poller poller : List.copyOf(pollers)) {
            found |= poller.poll();
        }
        return found;
    }

    /** Turns until nothing is ready any more. */
    public void run() {
        while (turn()) {}
    }

    /** Turns once, without waiting; returns whether there was anything to do. */
    public boolean turn() {
        return turn(Duration.ZERO);
    }

    /** Turns until {@code done}; fails after ten seconds without anything ready. */
    public void runUntil(BooleanSupplier done) {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!done.getAsBoolean()) {
            long now = System.nanoTime();
            if (turn(Duration.ofNanos(Math.max(0, deadline - now)))) {
                deadline = System.nanoTime() + PATIENCE.toNanos();
            } else if (now >= deadline) {
                throw new AssertionError("nothing happened for ten seconds");
            }
        }
    }

    private boolean turn(Duration timeout) {
        int waiting;
        synchronized (tasks) {
            waiting = tasks.size();
        }
        boolean found = false;
        for (Poller poller : List.copyOf(pollers)) {
            found |= poller.beforeSleep() && poller.poll();
        }
        int ready = epoll.await(waiting == 0 && !found ? timeout : Duration.ZERO);
        for (int i = 0; i < ready; i++) {
            Runnable handler = handlers.get(epoll.data(i));
            if (handler != null) {
                handler.run();
            }
        }
        for (int i = 0; i < waiting; i++) {
            Runnable task;
            synchronized (tasks) {
                task = tasks.remove();
            }
            task.run();
        }
        return found || ready + waiting > 0;
    }

    @Override
    public void close() {
        epoll.close();
        wakeUp.close();
    }
}
