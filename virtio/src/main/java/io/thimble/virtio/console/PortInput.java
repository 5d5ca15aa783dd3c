package io.thimble.virtio.console;

import io.thimble.virtio.queue.DescriptorChain;
import java.util.ArrayList;
import java.util.List;

/** Bytes on their way from the host to the guest, in a ring of fixed size. Every method may be called from any thread. */
final class PortInput {
    private final byte[] ring;
    private int head; // guarded by this, as those below
    private int size;
    private boolean refused;
    private Runnable onRoom = () -> {};

    PortInput(int capacity) {
        ring = new byte[capacity];
    }

    synchronized void onRoom(Runnable callback) {
        onRoom = callback;
    }

    /** Appends as many bytes as fit and returns their number; if not all did, {@link #onRoom}'s callback follows. */
    synchronized int add(byte[] source, int offset, int length) {
        int count = Math.min(length, ring.length - size);
        int tail = (head + size) % ring.length;
        int first = Math.min(count, ring.length - tail);
        System.arraycopy(source, offset, ring, tail, first);
        System.arraycopy(source, offset + first, ring, 0, count - first);
        size += count;
        refused |= count < length;
        return count;
    }

    /** Appends all of the bytes or none; if none, {@link #onRoom}'s callback follows. */
    synchronized boolean addAll(byte[] source) {
        if (source.length > ring.length - size) {
            refused = true;
            return false;
        }
        return add(source, 0, source.length) == source.length;
    }

    synchronized boolean isEmpty() {
        return size == 0;
    }

    /** Moves as many bytes into the buffer as it takes and returns their number. */
    int moveTo(DescriptorChain chain) {
        Runnable callback = null;
        int count;
        synchronized (this) {
            int first = Math.min(size, ring.length - head);
            count = chain.write(0, ring, head, first);
            if (count == first && first < size) {
                count += chain.write(first, ring, 0, size - first);
            }
            head = (head + count) % ring.length;
            size -= count;
            if (refused && count > 0) {
                refused = false;
                callback = onRoom;
            }
        }
        if (callback != null) {
            callback.run();
        }
        return count;
    }

    /** Returns the content, oldest first, as values 0..255. */
    synchronized List<Integer> toList() {
        List<Integer> list = new ArrayList<>(size);
        for (int i = 0; i < size; i++) {
            list.add(ring[(head + i) % ring.length] & 0xff);
        }
        return List.copyOf(list);
    }

    /**
     * Replaces the content.
     *
     * @throws IllegalArgumentException if it does not fit
     */
    synchronized void replace(List<Integer> values) {
        if (values.size() > ring.length) {
            throw new IllegalArgumentException(values.size() + " bytes of input in a ring of " + ring.length);
        }
        head = 0;
        size = 0;
        for (int value : values) {
            ring[size++] = (byte) value;
        }
    }
}
