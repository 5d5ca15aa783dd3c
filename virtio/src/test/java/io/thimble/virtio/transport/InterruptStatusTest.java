package io.thimble.virtio.transport;

import static org.assertj.core.api.Assertions.assertThat;

import io.thimble.linux.abi.VirtioMmioConstants;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class InterruptStatusTest {
    private static final int VRING = VirtioMmioConstants.VIRTIO_MMIO_INT_VRING;
    private static final int CONFIG = VirtioMmioConstants.VIRTIO_MMIO_INT_CONFIG;

    private final InterruptStatus status = new InterruptStatus("test");

    @AfterEach
    void close() {
        status.close();
    }

    private void acknowledge(boolean inKernel) {
        if (inKernel) {
            status.acknowledgement().signal();
        } else {
            status.acknowledge(VRING);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void a_bit_stays_until_it_is_acknowledged(boolean inKernel) {
        assertThat(status.read()).isZero();
        status.raise(VRING);
        assertThat(status.read()).isEqualTo(VRING);
        assertThat(status.read()).isEqualTo(VRING);
        acknowledge(inKernel);
        assertThat(status.read()).isZero();
        status.raise(VRING);
        assertThat(status.read()).isEqualTo(VRING);
    }

    @Test
    void what_is_raised_after_the_acknowledgement_is_not_lost() {
        status.raise(VRING);
        assertThat(status.read()).isEqualTo(VRING);
        status.acknowledgement().signal();
        status.raise(VRING);
        assertThat(status.read()).isEqualTo(VRING);
        status.acknowledgement().signal();
        assertThat(status.read()).isZero();
    }

    @Test
    void an_acknowledgement_of_one_bit_leaves_the_other() {
        status.raise(VRING);
        status.raise(CONFIG);
        assertThat(status.read()).isEqualTo(VRING | CONFIG);
        status.acknowledgement().signal();
        assertThat(status.read()).isEqualTo(CONFIG);
        status.acknowledge(CONFIG);
        assertThat(status.read()).isZero();
    }

    @Test
    void an_acknowledgement_of_what_was_never_read_counts_for_nothing() {
        status.acknowledgement().signal();
        status.raise(VRING);
        assertThat(status.read()).isEqualTo(VRING);
    }

    @Test
    void a_reset_forgets_acknowledgements_on_their_way() {
        status.raise(VRING);
        assertThat(status.read()).isEqualTo(VRING);
        status.acknowledgement().signal();
        status.clear();
        status.raise(VRING);
        assertThat(status.read()).isEqualTo(VRING);
        assertThat(status.bits()).isEqualTo(VRING);
    }

    /** A driver as Linux has it: it sleeps until an interrupt, reads, acknowledges, looks into the queue. */
    @Test
    @Timeout(60)
    void no_interrupt_is_lost_between_two_threads() throws InterruptedException {
        int rounds = 200_000;
        Semaphore line = new Semaphore(0);
        int[] used = new int[1];
        Thread device = Thread.ofPlatform().start(() -> {
            for (int i = 0; i < rounds; i++) {
                synchronized (used) {
                    used[0]++;
                }
                status.raise(VRING);
                line.release();
            }
        });
        int seen = 0;
        while (seen < rounds) {
            assertThat(line.tryAcquire(20, TimeUnit.SECONDS))
                    .as("an interrupt after %d of %d", seen, rounds)
                    .isTrue();
            line.drainPermits();
            if (status.read() != 0) {
                status.acknowledgement().signal();
                synchronized (used) {
                    seen = used[0];
                }
            }
        }
        device.join();
        assertThat(seen).isEqualTo(rounds);
    }
}
