package io.thimble.it.support;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;

/**
 * Lets this process open only so many more descriptors, or map only so much more memory, until it is closed
 * (setrlimit(2)): makes the host refuse things at a chosen point.
 */
public final class HostLimit implements AutoCloseable {
    private static final int RLIMIT_NOFILE = 7;
    private static final int RLIMIT_AS = 9;
    private static final MethodHandle GET = rlimit("getrlimit");
    private static final MethodHandle SET = rlimit("setrlimit");

    private final int resource;
    private final long before;

    private HostLimit(int resource, long limit) {
        this.resource = resource;
        this.before = set(resource, limit);
    }

    /** Leaves room for {@code count} more descriptors. */
    public static HostLimit descriptors(int count) {
        int left = count;
        int limit = 0;
        while (left >= 0) {
            if (Files.notExists(Path.of("/proc/self/fd/" + limit), LinkOption.NOFOLLOW_LINKS)) {
                left--;
            }
            limit++;
        }
        return new HostLimit(RLIMIT_NOFILE, limit - 1);
    }

    /** Leaves {@code bytes} of address space. */
    public static HostLimit addressSpace(long bytes) {
        return new HostLimit(RLIMIT_AS, HostResources.status("VmSize") + bytes);
    }

    @Override
    public void close() {
        long _ = set(resource, before);
    }

    private static MethodHandle rlimit(String name) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(
                linker.defaultLookup().findOrThrow(name),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
    }

    /** Sets the soft limit and returns the one before. */
    private static long set(int resource, long soft) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment limit = arena.allocate(ValueLayout.JAVA_LONG, 2); // struct rlimit: rlim_cur, rlim_max
            int got = (int) GET.invokeExact(resource, limit);
            long previous = limit.get(ValueLayout.JAVA_LONG, 0);
            limit.set(ValueLayout.JAVA_LONG, 0, soft);
            int done = (int) SET.invokeExact(resource, limit);
            if (got != 0 || done != 0) {
                throw new IllegalStateException("getrlimit " + got + ", setrlimit " + done);
            }
            return previous;
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }
}
