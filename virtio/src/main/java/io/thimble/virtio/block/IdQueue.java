package io.thimble.virtio.block;

/** A bounded queue of small numbers that allocates nothing. One thread at a time. */
final class IdQueue {
    private final int[] ids;
    private int head;
    private int size;

    IdQueue(int capacity) {
        ids = new int[capacity];
    }

    void add(int id) {
        if (size == ids.length) {
            throw new IllegalStateException("more than " + size + " ids");
        }
        ids[(head + size) % ids.length] = id;
        size++;
    }

    int remove() {
        if (size == 0) {
            throw new IllegalStateException("no id");
        }
        int id = ids[head];
        head = (head + 1) % ids.length;
        size--;
        return id;
    }

    int size() {
        return size;
    }

    boolean isEmpty() {
        return size == 0;
    }
}
