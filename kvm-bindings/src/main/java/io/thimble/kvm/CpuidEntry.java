package io.thimble.kvm;

import io.thimble.kvm.abi.KvmCpuid2Layout;
import io.thimble.kvm.abi.KvmCpuidEntry2Layout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * One CPUID leaf: {@code struct kvm_cpuid_entry2}.
 *
 * @param function the leaf, EAX on entry
 * @param index the subleaf, ECX on entry
 * @param flags {@code KVM_CPUID_FLAG_*}
 * @param eax the answer
 * @param ebx the answer
 * @param ecx the answer
 * @param edx the answer
 */
public record CpuidEntry(int function, int index, int flags, int eax, int ebx, int ecx, int edx) {

    /** Returns this leaf with another answer. */
    public CpuidEntry with(int newEax, int newEbx, int newEcx, int newEdx) {
        return new CpuidEntry(function, index, flags, newEax, newEbx, newEcx, newEdx);
    }

    /** Encodes {@code entries} as {@code struct kvm_cpuid2}. */
    static MemorySegment encode(Arena arena, List<CpuidEntry> entries) {
        MemorySegment cpuid = allocate(arena, entries.size());
        for (int i = 0; i < entries.size(); i++) {
            CpuidEntry e = entries.get(i);
            long at = KvmCpuid2Layout.OFFSETOF_ENTRIES + i * KvmCpuidEntry2Layout.SIZEOF;
            cpuid.set(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_FUNCTION, e.function);
            cpuid.set(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_INDEX, e.index);
            cpuid.set(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_FLAGS, e.flags);
            cpuid.set(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_EAX, e.eax);
            cpuid.set(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_EBX, e.ebx);
            cpuid.set(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_ECX, e.ecx);
            cpuid.set(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_EDX, e.edx);
        }
        return cpuid;
    }

    /** Allocates a {@code struct kvm_cpuid2} with room for {@code capacity} leaves and {@code nent} set to it. */
    static MemorySegment allocate(Arena arena, int capacity) {
        MemorySegment cpuid =
                arena.allocate(KvmCpuid2Layout.OFFSETOF_ENTRIES + capacity * KvmCpuidEntry2Layout.SIZEOF, Long.BYTES);
        cpuid.set(ValueLayout.JAVA_INT, KvmCpuid2Layout.OFFSETOF_NENT, capacity);
        return cpuid;
    }

    /** Decodes a {@code struct kvm_cpuid2}. */
    static List<CpuidEntry> decode(MemorySegment cpuid) {
        int count = cpuid.get(ValueLayout.JAVA_INT, KvmCpuid2Layout.OFFSETOF_NENT);
        List<CpuidEntry> entries = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            long at = KvmCpuid2Layout.OFFSETOF_ENTRIES + i * KvmCpuidEntry2Layout.SIZEOF;
            entries.add(new CpuidEntry(
                    cpuid.get(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_FUNCTION),
                    cpuid.get(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_INDEX),
                    cpuid.get(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_FLAGS),
                    cpuid.get(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_EAX),
                    cpuid.get(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_EBX),
                    cpuid.get(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_ECX),
                    cpuid.get(ValueLayout.JAVA_INT, at + KvmCpuidEntry2Layout.OFFSETOF_EDX)));
        }
        return entries;
    }

    @Override
    public String toString() {
        return "CPUID %08x.%x: eax=%08x ebx=%08x ecx=%08x edx=%08x".formatted(function, index, eax, ebx, ecx, edx);
    }
}
