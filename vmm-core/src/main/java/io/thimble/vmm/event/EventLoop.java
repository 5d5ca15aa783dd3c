package io.thimble.vmm.event;

import io.thimble.linux.Epoll;
import io.thimble.linux.EventFd;
import io.thimble.linux.Fd;
import io.thimble.linux.abi.EventpollConstants;
import io.thimble.virtio.device.DeviceLoop;
import io.thimble.virtio.device.Poller;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;

/**
 * One thread that waits for descriptors and for tasks (epoll(7)).
 *
 * <p>{@link #post} and {@link #stop} may be called from any thread; {@link #watch}, {@link #rewatch} and {@link #unwatch} from
 * the loop's own thread, or before {@link #start}. A round runs the handlers of what is ready, then the tasks that were posted
 * before it began to: a task that posts itself again lets everything else have its turn. No round allocates or locks more
 * than that. Handlers and tasks run on the loop's thread, one after the other, and must not
 * block. A {@link Throwable} from one of them goes to the failure handler; the loop goes on. When the loop ends it closes its
 * own descriptors, not those that it watches.
 */
public final class EventLoop implements DeviceLoop {
    private static final int EVENTS_AT_ONCE = 64;
    private static final long WAKE_UP = -1;
    private static final long STACK_SIZE = 512 * 1024;
    private static final int FOUND_NOTHING = -1;

    /** In nanoseconds: a look around that took so long was not alone on its processor. */
    private static final long DISTURBANCE = 30_000;

    /** So many loops look around at once: half of the processors are for whoever brings the work. */
    private static final Semaphore SPINNERS = new Semaphore(Runtime.getRuntime().availableProcessors() / 2);

    private final Thread thread;
    private final Consumer<Throwable> failureHandler;
    private final EventFd wakeUp;
    private final Epoll epoll;
    private final Watches watches = new Watches();
    private final SpinTime spinTime;
    private Poller[] pollers = {};

    private final Object lock = new Object();
    private final Queue<Runnable> tasks = new ArrayDeque<>(); // guarded by lock, as the two below
    private boolean stopping;
    private boolean ended;
    private volatile Runnable atEnd = () -> {};

    /**
     * Creates a loop; {@link #start} starts it.
     *
     * @param name of the thread
     * @param failureHandler is told what a handler or task throws, on the loop's thread
     */
    public EventLoop(String name, Consumer<Throwable> failureHandler) {
        this(name, failureHandler, new SpinTime(Runtime.getRuntime().availableProcessors()));
    }

    EventLoop(String name, Consumer<Throwable> failureHandler, SpinTime spinTime) {
        this.spinTime = spinTime;
        this.failureHandler = failureHandler;
        this.wakeUp = new EventFd(name);
        Epoll set = null;
        try {
            set = new Epoll(name, EVENTS_AT_ONCE);
            set.add(wakeUp.fd(), EventpollConstants.EPOLLIN, WAKE_UP);
        } catch (RuntimeException e) {
            if (set != null) {
                set.close();
            }
            wakeUp.close();
            throw e;
        }
        this.epoll = set;
        this.thread = Thread.ofPlatform()
                .name(name)
                .daemon(true)
                .stackSize(STACK_SIZE)
                .unstarted(this::run);
    }

    /** Starts the thread. */
    public void start() {
        thread.start();
    }

    /** Frees a loop that was never started. */
    public void discard() {
        close();
    }

    @Override
    public long watch(Fd fd, int interest, Runnable handler) {
        long key = watches.add(handler);
        epoll.add(fd, interest, key);
        return key;
    }

    @Override
    public void rewatch(Fd fd, long key, int interest) {
        epoll.modify(fd, interest, key);
    }

    @Override
    public void unwatch(Fd fd, long key) {
        watches.remove(key);
        epoll.remove(fd);
    }

    @Override
    public void addPoller(Poller poller) {
        List<Poller> more = new ArrayList<>(Arrays.asList(pollers));
        more.add(poller);
        pollers = more.toArray(Poller[]::new);
    }

    @Override
    public void removePoller(Poller poller) {
        List<Poller> fewer = new ArrayList<>(Arrays.asList(pollers));
        boolean _ = fewer.remove(poller);
        pollers = fewer.toArray(Poller[]::new);
    }

    @Override
    public boolean post(Runnable task) {
        synchronized (lock) {
            if (stopping) {
                return false;
            }
            tasks.add(task);
            if (!isLoopThread()) {
                wakeUp.signal();
            }
            return true;
        }
    }

    /** Ends the loop after the tasks that are already posted. */
    public void stop() {
        stop(() -> {});
    }

    /**
     * Ends the loop after the tasks that are already posted.
     *
     * @param lastAct what the loop's thread does after it has closed its descriptors; not run if the loop was being
     *     stopped already
     */
    public void stop(Runnable lastAct) {
        synchronized (lock) {
            if (!stopping) {
                stopping = true;
                atEnd = lastAct;
                wakeUp.signal();
            }
        }
    }

    @Override
    public boolean isLoopThread() {
        return Thread.currentThread() == thread;
    }

    /** Returns the loop's thread, to wait for its end. */
    public Thread thread() {
        return thread;
    }

    private void run() {
        try {
            while (true) {
                int count = hasTasks() ? epoll.poll() : awaitEvents();
                for (int i = 0; i < count; i++) {
                    long key = epoll.data(i);
                    if (key == WAKE_UP) {
                        wakeUp.consume();
                    } else {
                        Runnable handler = watches.handler(key);
                        if (handler != null) {
                            runSafely(handler);
                        }
                    }
                }
                if (runTasks()) {
                    return;
                }
            }
        } finally {
            close();
            atEnd.run();
        }
    }

    /**
     * Looks around, then sleeps until there are events or pollers have found something; returns how many events there are. They
     * are asked for in each case: pollers that always find something must not keep them waiting.
     */
    private int awaitEvents() {
        if (pollers.length == 0) {
            return epoll.await();
        }
        long start = System.nanoTime();
        int count = lookAround(start);
        if (count == FOUND_NOTHING) {
            count = beforeSleep() ? epoll.poll() : epoll.await();
        }
        spinTime.waited(System.nanoTime() - start);
        return count;
    }

    @SuppressWarnings("ThreadPriorityCheck") // nothing relies on it but the time of others
    private int lookAround(long start) {
        long most = spinTime.nanos(start);
        if (most == 0 || !SPINNERS.tryAcquire()) {
            return FOUND_NOTHING;
        }
        try {
            long now = start;
            while (now - start < most) {
                boolean found = poll();
                int count = epoll.poll();
                if (found || count > 0) {
                    return count;
                }
                // Whoever waits for this processor gets it, a vCPU with an interrupt perhaps.
                Thread.yield();
                long after = System.nanoTime();
                if (after - now > DISTURBANCE) {
                    spinTime.disturbed(after);
                    break;
                }
                now = after;
            }
            return FOUND_NOTHING;
        } finally {
            SPINNERS.release();
        }
    }

    private boolean poll() {
        boolean found = false;
        for (Poller poller : pollers) {
            found |= poll(poller);
        }
        return found;
    }

    private boolean poll(Poller poller) {
        try {
            return poller.poll();
        } catch (Throwable t) {
            failureHandler.accept(t);
            return true; // the handler may have posted something, for which nobody wakes the loop's own thread
        }
    }

    /** All are asked, whatever others have found: one that is busy must not keep the others from being notified. */
    private boolean beforeSleep() {
        boolean found = false;
        for (Poller poller : pollers) {
            found |= beforeSleep(poller) && poll(poller);
        }
        return found;
    }

    private boolean beforeSleep(Poller poller) {
        try {
            return poller.beforeSleep();
        } catch (Throwable t) {
            failureHandler.accept(t);
            return true;
        }
    }

    private boolean hasTasks() {
        synchronized (lock) {
            return !tasks.isEmpty() || stopping;
        }
    }

    /** Runs what was posted so far; returns whether the loop is to end. */
    private boolean runTasks() {
        int waiting;
        synchronized (lock) {
            waiting = tasks.size();
        }
        for (int i = 0; i < waiting; i++) {
            Runnable task;
            synchronized (lock) {
                task = tasks.remove();
            }
            runSafely(task);
        }
        synchronized (lock) {
            return stopping && tasks.isEmpty();
        }
    }

    private void runSafely(Runnable task) {
        try {
            task.run();
        } catch (Throwable t) {
            failureHandler.accept(t);
        }
    }

    private void close() {
        synchronized (lock) {
            stopping = true;
            if (!ended) {
                ended = true;
                epoll.close();
                wakeUp.close();
            }
        }
    }
}
