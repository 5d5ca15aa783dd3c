package io.thimble.vmm.legacy;

import java.util.ArrayList;
import java.util.List;

/** A bounded first-in-first-out queue of bytes. Not thread-safe: its owner locks. */
final class ByteRing {
    private final byte[] bytes;
    private int head;
    private int size;

    /**
     * Makes an empty ring.
     *
     * @param capacity in bytes, at least 1
     */
    ByteRing(int capacity) {
        if (capacity < 1) {
            throw new IllegalArgumentException("a buffer of " + capacity + " bytes; at least 1 is needed");
        }
        bytes = new byte[capacity];
    }

    int capacity() {
        return bytes.length;
    }

    int size() {
        return size;
    }

    boolean isEmpty() {
        return size == 0;
    }

    boolean isFull() {
        return size == bytes.length;
    }

    /** Appends a byte; the ring must not be full. */
    void put(byte value) {
        int tail = head + size;
        bytes[tail >= bytes.length ? tail - bytes.length : tail] = value;
        size++;
    }

    /** Appends as many bytes as fit and returns their number. */
    int put(byte[] source, int offset, int length) {
        int count = Math.min(length, bytes.length - size);
        int tail = (int) (((long) head + size) % bytes.length);
        int first = Math.min(count, bytes.length - tail);
        System.arraycopy(source, offset, bytes, tail, first);
        System.arraycopy(source, offset + first, bytes, 0, count - first);
        size += count;
        return count;
    }

    /** Removes the oldest byte; the ring must not be empty. */
    byte take() {
        byte value = bytes[head];
        head = head + 1 == bytes.length ? 0 : head + 1;
        size--;
        return value;
    }

    /** Removes the oldest {@code count} bytes; there must be so many. */
    void discard(int count) {
        head = (int) (((long) head + count) % bytes.length);
        size -= count;
    }

    /** Removes up to {@code target.length} of the oldest bytes and returns their number. */
    int take(byte[] target) {
        int count = copy(target);
        discard(count);
        return count;
    }

    /** Copies up to {@code target.length} of the oldest bytes without removing them and returns their number. */
    int copy(byte[] target) {
        int count = Math.min(target.length, size);
        int first = Math.min(count, bytes.length - head);
        System.arraycopy(bytes, head, target, 0, first);
        System.arraycopy(bytes, 0, target, first, count - first);
        return count;
    }

    void clear() {
        head = 0;
        size = 0;
    }

    /** Returns the contents, oldest first, as values 0..255. */
    List<Integer> toList() {
        List<Integer> values = new ArrayList<>(size);
        for (int i = 0; i < size; i++) {
            values.add(bytes[(int) (((long) head + i) % bytes.length)] & 0xff);
        }
        return List.copyOf(values);
    }

    /**
     * Replaces the contents.
     *
     * @throws IllegalArgumentException if they do not fit
     */
    void replace(List<Integer> values) {
        if (values.size() > bytes.length) {
            throw new IllegalArgumentException(values.size() + " bytes do not fit in a buffer of " + bytes.length);
        }
        clear();
        for (int value : values) {
            put((byte) value);
        }
    }
}
