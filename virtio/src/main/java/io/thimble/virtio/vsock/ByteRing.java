package io.thimble.virtio.vsock;

import io.thimble.virtio.queue.DescriptorChain;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A bounded queue of bytes from one thread to another. Its memory comes in chunks, each when it is first needed, so that a
 * connection that carries little takes little.
 *
 * <p>One thread at a time produces ({@code write}), one consumes ({@code read}, {@code moveTo}, {@code front}, {@code
 * skip}); they may be different. {@link #free} is called by neither any more.
 *
 * <table>
 *   <caption>Who pairs with whom</caption>
 *   <tr><th>producer</th><th>consumer</th></tr>
 *   <tr><td>fills a chunk, then writes {@code tail}</td><td>reads {@code tail}, then the chunk</td></tr>
 *   <tr><td>reads {@code head}, then fills what is free</td><td>has read, then writes {@code head}</td></tr>
 * </table>
 */
final class ByteRing {
    static final int CHUNK = 16 << 10;

    private final int capacity;
    private final Supplier<MemorySegment> source;
    private final @Nullable MemorySegment[] chunks;
    private volatile long head; // bytes consumed so far
    private volatile long tail; // bytes produced so far

    /**
     * Makes an empty queue.
     *
     * @param capacity in bytes, a multiple of {@link #CHUNK}
     * @param source of chunks, called by the producer
     */
    ByteRing(int capacity, Supplier<MemorySegment> source) {
        if (capacity <= 0 || capacity % CHUNK != 0) {
            throw new IllegalArgumentException("capacity: " + capacity);
        }
        this.capacity = capacity;
        this.source = source;
        this.chunks = new MemorySegment[capacity / CHUNK];
    }

    /** With chunks on the heap. */
    static ByteRing onHeap(int capacity) {
        return new ByteRing(capacity, () -> MemorySegment.ofArray(new byte[CHUNK]));
    }

    int capacity() {
        return capacity;
    }

    boolean isEmpty() {
        return head == tail;
    }

    /** Returns how many bytes are queued. */
    int size() {
        long consumed = head; // first: the other order could give more than there is
        return (int) (tail - consumed);
    }

    /** Returns how many bytes have been consumed so far. */
    long consumed() {
        return head;
    }

    private int slot(long position) {
        return (int) (position / CHUNK % chunks.length);
    }

    private MemorySegment chunk(int slot) {
        MemorySegment chunk = chunks[slot];
        if (chunk == null) {
            chunk = source.get();
            chunks[slot] = chunk;
        }
        return chunk;
    }

    /**
     * Appends bytes.
     *
     * @return how many had room
     */
    int write(MemorySegment src, long offset, long length) {
        long at = tail;
        long end = at + Math.min(length, capacity - (at - head));
        long from = offset;
        while (at < end) {
            long inChunk = at % CHUNK;
            long part = Math.min(CHUNK - inChunk, end - at);
            MemorySegment.copy(src, from, chunk(slot(at)), inChunk, part);
            at += part;
            from += part;
        }
        int written = (int) (from - offset);
        tail = at;
        return written;
    }

    /** Appends readable bytes of a chain; as {@link #write(MemorySegment, long, long)}. */
    int write(DescriptorChain src, long offset, long length) {
        long at = tail;
        long end = at + Math.min(length, capacity - (at - head));
        long from = offset;
        while (at < end) {
            long inChunk = at % CHUNK;
            long part = Math.min(CHUNK - inChunk, end - at);
            src.read(from, chunk(slot(at)), inChunk, part);
            at += part;
            from += part;
        }
        int written = (int) (from - offset);
        tail = at;
        return written;
    }

    /**
     * Takes bytes from the front.
     *
     * @return how many there were, at most {@code length}
     */
    int read(MemorySegment dst, long offset, long length) {
        long at = head;
        long end = at + Math.min(length, tail - at);
        long to = offset;
        while (at < end) {
            MemorySegment chunk = filled(at);
            long inChunk = at % CHUNK;
            long part = Math.min(CHUNK - inChunk, end - at);
            MemorySegment.copy(chunk, inChunk, dst, to, part);
            at += part;
            to += part;
        }
        head = at;
        return (int) (to - offset);
    }

    /** Takes bytes from the front into buffers of the guest; as {@link #read}. */
    int moveTo(RxBuffers dst, long length) {
        long start = head;
        long at = start;
        long end = at + Math.min(length, tail - at);
        while (at < end) {
            long inChunk = at % CHUNK;
            long part = Math.min(CHUNK - inChunk, end - at);
            long written = dst.write(filled(at), inChunk, part);
            at += written;
            if (written < part) {
                break;
            }
        }
        head = at;
        return (int) (at - start);
    }

    private MemorySegment filled(long position) {
        MemorySegment chunk = chunks[slot(position)];
        if (chunk == null) {
            throw new IllegalStateException("no bytes at " + position);
        }
        return chunk;
    }

    /** Returns the chunk that holds the first byte; for a queue that is not empty. */
    MemorySegment frontChunk() {
        return filled(head);
    }

    /** Returns where in {@link #frontChunk} the first byte is. */
    long frontOffset() {
        return head % CHUNK;
    }

    /** Returns how many bytes lie there one behind the other. */
    long frontLength() {
        long at = head;
        return Math.min(CHUNK - at % CHUNK, tail - at);
    }

    /** Takes bytes from the front that the caller has used where they lie. */
    void skip(long bytes) {
        head = Math.addExact(head, bytes);
    }

    /** Hands all chunks back; the queue is empty then, and must not be used any more. */
    void free(Consumer<MemorySegment> sink) {
        head = tail;
        for (int i = 0; i < chunks.length; i++) {
            MemorySegment chunk = chunks[i];
            if (chunk != null) {
                chunks[i] = null;
                sink.accept(chunk);
            }
        }
    }
}
