package io.thimble.kvm;

import io.thimble.kvm.abi.KvmMsrEntryLayout;
import io.thimble.kvm.abi.KvmMsrsLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * A model-specific register: {@code struct kvm_msr_entry}.
 *
 * @param index the register's number
 * @param data its value
 */
public record MsrEntry(int index, long data) {

    /** Encodes {@code entries} as {@code struct kvm_msrs}. */
    static MemorySegment encode(Arena arena, List<MsrEntry> entries) {
        MemorySegment msrs =
                arena.allocate(KvmMsrsLayout.OFFSETOF_ENTRIES + entries.size() * KvmMsrEntryLayout.SIZEOF, Long.BYTES);
        msrs.set(ValueLayout.JAVA_INT, KvmMsrsLayout.OFFSETOF_NMSRS, entries.size());
        for (int i = 0; i < entries.size(); i++) {
            long at = KvmMsrsLayout.OFFSETOF_ENTRIES + i * KvmMsrEntryLayout.SIZEOF;
            msrs.set(ValueLayout.JAVA_INT, at + KvmMsrEntryLayout.OFFSETOF_INDEX, entries.get(i).index);
            msrs.set(ValueLayout.JAVA_LONG, at + KvmMsrEntryLayout.OFFSETOF_DATA, entries.get(i).data);
        }
        return msrs;
    }

    /** Decodes the first {@code count} entries of a {@code struct kvm_msrs}. */
    static List<MsrEntry> decode(MemorySegment msrs, int count) {
        List<MsrEntry> entries = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            long at = KvmMsrsLayout.OFFSETOF_ENTRIES + i * KvmMsrEntryLayout.SIZEOF;
            entries.add(new MsrEntry(
                    msrs.get(ValueLayout.JAVA_INT, at + KvmMsrEntryLayout.OFFSETOF_INDEX),
                    msrs.get(ValueLayout.JAVA_LONG, at + KvmMsrEntryLayout.OFFSETOF_DATA)));
        }
        return entries;
    }

    @Override
    public String toString() {
        return "MSR %08x=%016x".formatted(index, data);
    }
}
