package io.thimble.cli;

import io.thimble.vmm.ConsoleKind;
import io.thimble.vmm.Disk;
import io.thimble.vmm.Network;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What {@code thimble run} was asked for, as {@link RunParser} read it. */
final class RunOptions {
    /** The word for libkrunfw's kernel, wherever the library is. */
    static final String KRUNFW = "krunfw";

    /** How much the launcher itself says on the standard error stream. */
    enum Talk {
        QUIET,
        NORMAL,
        VERBOSE
    }

    /**
     * An option as it was written.
     *
     * @param name with its dashes
     * @param value null if it takes none
     */
    record Word(String name, @Nullable String value) {}

    int vcpus = 1;
    /** Bytes. */
    long memory = 256L << 20;

    @Nullable
    String kernel;

    boolean pvh;
    boolean unpack;

    @Nullable
    String initrd;

    boolean noInitrd;
    final List<String> append = new ArrayList<>();
    final List<Network> networks = new ArrayList<>();
    boolean acpi = true;
    boolean prefault;
    final List<Disk> disks = new ArrayList<>();
    boolean balloon;
    boolean packedRings;
    ConsoleKind console = ConsoleKind.SERIAL;

    @Nullable
    String name;

    final Map<String, String> environment = new LinkedHashMap<>();

    @Nullable
    String hostname;

    @Nullable
    String directory;

    /** Path of a Unix socket. */
    @Nullable
    String vsock;

    final List<Copy> copyIn = new ArrayList<>();
    final List<Copy> copyOut = new ArrayList<>();
    boolean timeline;
    Talk talk = Talk.NORMAL;
    boolean nested;
    boolean help;
    /** The options as they were written, in their order. */
    final List<Word> words = new ArrayList<>();

    List<String> command = List.of();

    /** Tells whether {@code --kernel} asks for libkrunfw's kernel, by the word or by the library's file. */
    boolean isKrunfw() {
        return kernel != null && (kernel.equals(KRUNFW) || isKrunfwFile(kernel));
    }

    private static boolean isKrunfwFile(String file) {
        return file.substring(file.lastIndexOf('/') + 1).startsWith("libkrunfw.so");
    }

    /** Tells whether something is to be copied, and so the guest outlives its command. */
    boolean copies() {
        return !copyIn.isEmpty() || !copyOut.isEmpty();
    }

    /** Tells whether the bundled guest agent runs in this guest, as far as that can be known. */
    boolean hasAgent() {
        return initrd == null && !noInitrd;
    }
}
