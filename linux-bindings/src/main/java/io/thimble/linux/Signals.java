package io.thimble.linux;

import io.thimble.linux.abi.SignalConstants;
import io.thimble.linux.abi.Syscalls;
import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * The signal that makes a thread leave a blocking system call.
 *
 * <p>Its handler does nothing: it is the address of a C library function that touches nothing ({@code getppid}), so
 * that no Java code runs in a signal handler, which would abort the JVM. It is installed by the C library's
 * {@code sigaction}, which adds the restorer that the raw system call lacks, and without {@code SA_RESTART}, so that
 * the interrupted call returns {@code EINTR}.
 */
public final class Signals {
    /**
     * SIGURG: the kernel never drops it, as it does a real-time signal when the user's queue of them is full
     * ({@code RLIMIT_SIGPENDING}); one that strays is ignored by default; neither HotSpot nor NIO uses it.
     */
    public static final int KICK = SignalConstants.SIGURG;

    /** glibc's and musl's struct sigaction: handler 8, mask 128, flags 4 (padded), restorer 8. */
    private static final int SIGACTION_SIZE = 152;

    private Signals() {}

    private static final class Installed {
        static final boolean DONE = install();

        private static boolean install() {
            MethodHandle sigaction = Syscall.link("sigaction");
            long handler =
                    Linker.nativeLinker().defaultLookup().findOrThrow("getppid").address();
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment action = arena.allocate(SIGACTION_SIZE, Long.BYTES);
                action.set(ValueLayout.JAVA_LONG, 0, handler);
                MemorySegment capture = Syscall.newCapture(arena);
                int result;
                try {
                    result = (int)
                            (long) sigaction.invokeExact(capture, (long) KICK, action.address(), 0L, 0L, 0L, 0L, 0L);
                } catch (Throwable t) {
                    throw new AssertionError("a downcall threw", t);
                }
                if (result != 0) {
                    throw new LinuxException("sigaction of signal " + KICK, capture.get(ValueLayout.JAVA_INT, 0));
                }
            }
            return true;
        }
    }

    /**
     * Installs the handler of {@link #KICK} if this is the first call in this process.
     *
     * @throws LinuxException if the kernel refuses
     */
    public static void installKickHandler() {
        if (!Installed.DONE) {
            throw new AssertionError("unreachable");
        }
    }

    /** Returns the calling thread's kernel id (gettid(2)). */
    public static int currentThreadId() {
        return (int) Syscall.call(Syscalls.SYS_gettid);
    }

    /**
     * Sends {@link #KICK} to a thread of this process (tgkill(2)), with its handler installed. The caller knows that
     * the thread has not ended: its id could belong to another thread by then.
     *
     * <p>A signal that comes before the thread blocks does not interrupt it: who waits for the effect first sets what the
     * thread or the kernel looks at before it blocks ({@code immediate_exit}).
     */
    public static void kick(int threadId) {
        installKickHandler();
        LinuxException.check(
                "tgkill of thread " + threadId,
                Syscall.call(Syscalls.SYS_tgkill, ProcessHandle.current().pid(), threadId, KICK));
    }
}
