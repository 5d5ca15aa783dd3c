import org.jspecify.annotations.NullMarked;

/** A guest-physical address space over memory segments. Pure Java: no system calls. */
@NullMarked
module io.thimble.memory {
    requires static org.jspecify;

    exports io.thimble.memory;
}
