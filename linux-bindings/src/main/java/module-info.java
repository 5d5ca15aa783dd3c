import org.jspecify.annotations.NullMarked;

/**
 * Linux system calls through the Foreign Function &amp; Memory API: one downcall shape for all of them, owned file
 * descriptors, memory mappings, events, signals, and the generated constants of the UAPI headers.
 */
@NullMarked
module io.thimble.linux {
    requires static org.jspecify;

    exports io.thimble.linux;
    exports io.thimble.linux.abi;
}
