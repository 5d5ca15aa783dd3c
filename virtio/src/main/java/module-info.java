import org.jspecify.annotations.NullMarked;

/**
 * virtio 1.2: queues, transports and devices, over guest memory. It knows no KVM, and logs nothing: devices report to a
 * {@code DeviceListener}.
 */
@NullMarked
module io.thimble.virtio {
    requires static org.jspecify;
    requires transitive io.thimble.linux;
    requires transitive io.thimble.memory;

    exports io.thimble.virtio.block;
    exports io.thimble.virtio.queue;
    exports io.thimble.virtio.device;
    exports io.thimble.virtio.transport;
    exports io.thimble.virtio.balloon;
    exports io.thimble.virtio.net;
    exports io.thimble.virtio.console;
    exports io.thimble.virtio.rng;
    exports io.thimble.virtio.vsock;
}
