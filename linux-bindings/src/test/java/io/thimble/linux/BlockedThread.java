package io.thimble.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A platform thread that a test sends into a system call and then wakes; every wait here has a deadline. */
final class BlockedThread<T> {
    private static final Duration DEADLINE = Duration.ofSeconds(20);

    private final CompletableFuture<Integer> threadId = new CompletableFuture<>();
    private final CompletableFuture<T> result = new CompletableFuture<>();

    private BlockedThread() {}

    static <T> BlockedThread<T> start(Callable<T> body) {
        BlockedThread<T> thread = new BlockedThread<>();
        Thread.ofPlatform().daemon().name("blocked").start(() -> {
            thread.threadId.complete(Signals.currentThreadId());
            try {
                thread.result.complete(body.call());
            } catch (Throwable t) {
                thread.result.completeExceptionally(t);
            }
        });
        return thread;
    }

    int threadId() throws Exception {
        return threadId.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
    }

    T result() throws Exception {
        return result.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
    }

    boolean isDone() {
        return result.isDone();
    }

    /** Returns once the kernel says that the thread sleeps in system call {@code nr}. */
    BlockedThread<T> awaitBlockedIn(long nr) throws Exception {
        Path syscall = Path.of("/proc/self/task/" + threadId() + "/syscall");
        String wanted = nr + " ";
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (!Files.readString(syscall).startsWith(wanted)) {
            assertThat(System.nanoTime()).as("deadline to block in %s", nr).isLessThan(end);
            assertThat(result).isNotDone();
            Thread.onSpinWait();
        }
        return this;
    }

    /** Returns once the kernel has forgotten the thread. */
    void awaitEnd() throws Exception {
        Path task = Path.of("/proc/self/task/" + threadId());
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (Files.exists(task)) {
            assertThat(System.nanoTime()).as("deadline to end").isLessThan(end);
            Thread.onSpinWait();
        }
    }
}
