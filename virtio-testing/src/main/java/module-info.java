import org.jspecify.annotations.NullMarked;

/** The driver's side of virtio for tests of devices: it builds rings and chains, also wrong ones, and uses the registers. */
@NullMarked
module io.thimble.virtio.testing {
    requires static org.jspecify;
    requires transitive io.thimble.memory;
    requires io.thimble.linux;

    exports io.thimble.virtio.testing;
}
