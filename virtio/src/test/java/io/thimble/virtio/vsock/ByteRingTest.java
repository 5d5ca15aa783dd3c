package io.thimble.virtio.vsock;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ByteRingTest {
    private static final int CAPACITY = 4 * ByteRing.CHUNK;

    @Test
    void takes_no_memory_before_it_needs_it_and_no_more_than_its_capacity() {
        AtomicInteger chunks = new AtomicInteger();
        ByteRing ring = new ByteRing(CAPACITY, () -> {
            chunks.getAndIncrement();
            return MemorySegment.ofArray(new byte[ByteRing.CHUNK]);
        });
        MemorySegment bytes = MemorySegment.ofArray(new byte[CAPACITY]);
        assertThat(chunks).hasValue(0);
        assertThat(ring.write(bytes, 0, 1)).isEqualTo(1);
        assertThat(chunks).hasValue(1);
        for (int i = 0; i < 10; i++) {
            int _ = ring.write(bytes, 0, CAPACITY);
            assertThat(ring.size()).isEqualTo(CAPACITY);
            int _ = ring.read(bytes, 0, CAPACITY);
            assertThat(ring.isEmpty()).isTrue();
        }
        assertThat(chunks).hasValue(4);
        List<MemorySegment> freed = new ArrayList<>();
        ring.free(freed::add);
        assertThat(freed).hasSize(4);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    @Timeout(60)
    void carries_every_byte_from_one_thread_to_another(long seed) throws Exception {
        ByteRing ring = ByteRing.onHeap(CAPACITY);
        int total = 30 << 20;
        Thread producer = Thread.ofPlatform().start(() -> {
            SplittableRandom random = new SplittableRandom(seed);
            byte[] block = new byte[CAPACITY];
            int at = 0;
            while (at < total) {
                int length = Math.min(total - at, 1 + random.nextInt(CAPACITY));
                for (int i = 0; i < length; i++) {
                    block[i] = (byte) (((at + i) * 31) >> 3);
                }
                int done = 0;
                while (done < length) {
                    int written = ring.write(MemorySegment.ofArray(block), done, length - done);
                    done += written;
                    if (written == 0) {
                        Thread.onSpinWait();
                    }
                }
                at += length;
            }
        });
        SplittableRandom random = new SplittableRandom(-seed);
        byte[] block = new byte[CAPACITY];
        int at = 0;
        while (at < total) {
            int read = ring.read(MemorySegment.ofArray(block), 0, 1 + random.nextInt(CAPACITY));
            for (int i = 0; i < read; i++) {
                if (block[i] != (byte) (((at + i) * 31) >> 3)) {
                    throw new AssertionError("seed " + seed + ", byte " + (at + i));
                }
            }
            at += read;
            if (read == 0) {
                Thread.onSpinWait();
            }
        }
        producer.join();
        assertThat(ring.isEmpty()).isTrue();
    }
}
