package io.thimble.virtio.transport;

/**
 * What the driver has told of one queue before it is used. Guarded by the transport's lock.
 */
final class QueueSetup {
    final int maxSize;
    int size;
    boolean ready;
    long descriptors;
    long driver;
    long device;

    QueueSetup(int maxSize) {
        this.maxSize = maxSize;
        clear();
    }

    void clear() {
        size = maxSize;
        ready = false;
        descriptors = 0;
        driver = 0;
        device = 0;
    }
}
