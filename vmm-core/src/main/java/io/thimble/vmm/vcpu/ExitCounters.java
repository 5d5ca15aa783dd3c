package io.thimble.vmm.vcpu;

import io.thimble.kvm.KvmExitText;
import java.util.Map;
import java.util.TreeMap;

/**
 * How often a vCPU left the guest, by reason, and how long it was there. Written by the vCPU's thread alone, without synchronization; other
 * threads may see counts that lag behind.
 */
public final class ExitCounters {
    private static final int REASONS = 64;

    private final long[] counts = new long[REASONS];
    private long interrupted;
    private long inKvmRun;

    void count(int reason) {
        counts[reason & (REASONS - 1)]++;
    }

    void countInterrupted() {
        interrupted++;
    }

    /** Adds the nanoseconds that one KVM_RUN took. */
    void countTime(long nanos) {
        inKvmRun += nanos;
    }

    /** Returns the nanoseconds spent in KVM_RUN, without one that has not returned yet. */
    public long inKvmRun() {
        return inKvmRun;
    }

    /** Returns how often KVM_RUN was interrupted by a request of the host. */
    public long interrupted() {
        return interrupted;
    }

    /** Adds the counts that are not zero to {@code sums}, by the reason's name. */
    public void addTo(Map<String, Long> sums) {
        for (int reason = 0; reason < REASONS; reason++) {
            if (counts[reason] != 0) {
                sums.merge(KvmExitText.name(reason), counts[reason], Long::sum);
            }
        }
    }

    @Override
    public String toString() {
        Map<String, Long> all = new TreeMap<>();
        addTo(all);
        return all.toString();
    }
}
