package io.thimble.it.support;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** Waits for what nobody tells: figures of the host or of a VM that change at some time. */
public final class Await {
    private static final long BETWEEN_LOOKS = 10_000_000; // nanoseconds

    private Await() {}

    /** Looks until {@code condition} holds; fails with {@code what} if it does not within {@code limit}. */
    public static void until(String what, Duration limit, BooleanSupplier condition) {
        long end = System.nanoTime() + limit.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(end);
            LockSupport.parkNanos(BETWEEN_LOOKS);
        }
    }
}
