package io.thimble.linux;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * A shared library of the host's, loaded by the dynamic linker (dlopen(3)). Closing it unloads it: what it lent is not
 * readable any more. Any thread.
 */
public final class SharedLibrary implements AutoCloseable {
    private static final int MAX_ARGUMENTS = 7;

    private final Arena arena = Arena.ofShared();
    private final SymbolLookup symbols;
    private final String name;

    private SharedLibrary(String name, Optional<Path> file) {
        this.name = name;
        try {
            symbols = file.isPresent()
                    ? SymbolLookup.libraryLookup(file.get(), arena)
                    : SymbolLookup.libraryLookup(name, arena);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    /**
     * Loads the library in a file.
     *
     * @throws IllegalArgumentException if the dynamic linker cannot load it
     */
    public static SharedLibrary open(Path file) {
        return new SharedLibrary(file.toString(), Optional.of(file));
    }

    /**
     * Loads a library that the dynamic linker looks for.
     *
     * @param name with its version, for example {@code libkrunfw.so.5}
     * @throws IllegalArgumentException if the dynamic linker finds none, or cannot load it
     */
    public static SharedLibrary open(String name) {
        return new SharedLibrary(name, Optional.empty());
    }

    /**
     * Looks for a library's file, without loading it, in the directories of {@code LD_LIBRARY_PATH} and in the usual ones.
     * The dynamic linker may know others (ld.so.conf).
     *
     * @param name with its version
     */
    public static Optional<Path> find(String name) {
        return find(name, System.getenv(), System.getProperty("os.arch", ""));
    }

    static Optional<Path> find(String name, Map<String, String> environment, String architecture) {
        List<String> directories = new ArrayList<>();
        for (String directory : environment.getOrDefault("LD_LIBRARY_PATH", "").split("[:;]", -1)) {
            if (!directory.isEmpty()) {
                directories.add(directory);
            }
        }
        String multiarch =
                (architecture.equals("amd64") ? "x86_64" : architecture.toLowerCase(Locale.ROOT)) + "-linux-gnu";
        for (String prefix : List.of("", "/usr", "/usr/local")) {
            directories.addAll(List.of(prefix + "/lib/" + multiarch, prefix + "/lib64", prefix + "/lib"));
        }
        return directories.stream()
                .map(directory -> Path.of(directory, name))
                .filter(Files::isRegularFile)
                .findFirst();
    }

    /**
     * Calls a function whose parameters are integers or addresses.
     *
     * @param arguments at most seven; what is behind an address stays the caller's to keep alive
     * @return its result; of a smaller type, the higher bits are undefined
     * @throws IllegalArgumentException if the library has no such function
     */
    public long call(String function, long... arguments) {
        if (arguments.length > MAX_ARGUMENTS) {
            throw new IllegalArgumentException("more than " + MAX_ARGUMENTS + " arguments");
        }
        long[] a = new long[MAX_ARGUMENTS];
        System.arraycopy(arguments, 0, a, 0, arguments.length);
        MethodHandle handle = Syscall.link(symbols.find(function)
                .orElseThrow(() -> new IllegalArgumentException(name + " has no function " + function)));
        try {
            return (long) handle.invokeExact(Syscall.threadCapture(), a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
        } catch (Throwable t) {
            throw new AssertionError("a downcall threw", t);
        }
    }

    /**
     * Returns memory that belongs to the library, readable until it is closed.
     *
     * @param address as a function returned it
     * @param size in bytes; the library's word
     */
    public MemorySegment memory(long address, long size) {
        return MemorySegment.ofAddress(address).reinterpret(size, arena, null).asReadOnly();
    }

    @Override
    public void close() {
        arena.close();
    }

    @Override
    public String toString() {
        return name;
    }
}
