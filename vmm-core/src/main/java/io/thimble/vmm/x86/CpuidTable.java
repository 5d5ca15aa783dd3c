package io.thimble.vmm.x86;

import io.thimble.kvm.CpuidEntry;
import io.thimble.kvm.abi.KvmX86Constants;
import java.util.ArrayList;
import java.util.List;

/**
 * What the guest's CPUID instruction answers: everything that KVM supports on the host, with the leaves that tell a
 * vCPU who it is and with whom it shares the socket and its caches made consistent with the {@link Topology} (Intel
 * SDM volume 2, CPUID; AMD APM volume 3, appendix E).
 */
public final class CpuidTable {
    private static final int FEATURE_TSC_DEADLINE = 1 << 24; // leaf 1 ECX
    private static final int FEATURE_HYPERVISOR = 1 << 31; // leaf 1 ECX
    private static final int FEATURE_HTT = 1 << 28; // leaf 1 EDX: more than one logical processor a socket
    private static final int FEATURE_CMP_LEGACY = 1 << 1; // leaf 0x80000001 ECX
    private static final int CACHE_TYPE_MASK = 0x1f;
    private static final int LAST_LEVEL = 3;
    private static final int TOPOLOGY_TYPE_SMT = 1 << 8;
    private static final int TOPOLOGY_TYPE_CORE = 2 << 8;

    private final List<CpuidEntry> supported;
    private final Topology topology;
    private final boolean tscDeadlineTimer;

    /**
     * Prepares the table of a machine.
     *
     * @param supported what {@code KVM_GET_SUPPORTED_CPUID} gave
     * @param tscDeadlineTimer whether the host has {@code KVM_CAP_TSC_DEADLINE_TIMER}, which that ioctl does not tell
     */
    public CpuidTable(List<CpuidEntry> supported, Topology topology, boolean tscDeadlineTimer) {
        this.supported = List.copyOf(supported);
        this.topology = topology;
        this.tscDeadlineTimer = tscDeadlineTimer;
    }

    /** Returns the leaves for the vCPU with this APIC id. */
    public List<CpuidEntry> forVcpu(int apicId) {
        List<CpuidEntry> entries = new ArrayList<>(supported.size() + 4);
        boolean topologyLeaf = false;
        for (CpuidEntry e : supported) {
            switch (e.function()) {
                case 0x1 -> entries.add(features(e, apicId));
                case 0x4 -> entries.add(intelCache(e));
                case 0xb, 0x1f -> topologyLeaf |= e.function() == 0xb;
                case 0x8000_0001 -> entries.add(amdFeatures(e));
                case 0x8000_0008 -> entries.add(amdCores(e));
                case 0x8000_001d -> entries.add(amdCache(e));
                case 0x8000_001e -> entries.add(e.with(apicId, apicId & 0xff, 0, 0)); // one thread a core, node 0
                default -> entries.add(e);
            }
        }
        if (topologyLeaf) {
            addTopology(entries, apicId);
        }
        return entries;
    }

    private CpuidEntry features(CpuidEntry e, int apicId) {
        int ebx = (e.ebx() & 0xffff) | (topology.apicIdSpan() & 0xff) << 16 | apicId << 24;
        int ecx = e.ecx() | FEATURE_HYPERVISOR | (tscDeadlineTimer ? FEATURE_TSC_DEADLINE : 0);
        int edx = topology.vcpus() > 1 ? e.edx() | FEATURE_HTT : e.edx() & ~FEATURE_HTT;
        return e.with(e.eax(), ebx, ecx, edx);
    }

    /** Leaf 4: EAX 31:26 cores of the socket less one, 25:14 logical processors that share the cache less one. */
    private CpuidEntry intelCache(CpuidEntry e) {
        if ((e.eax() & CACHE_TYPE_MASK) == 0) {
            return e;
        }
        int cores = Math.min(topology.apicIdSpan() - 1, 0x3f);
        return e.with((e.eax() & 0x3fff) | sharing(e.eax()) << 14 | cores << 26, e.ebx(), e.ecx(), e.edx());
    }

    /** Leaf 0x8000001d: EAX 25:14 logical processors that share the cache less one. */
    private CpuidEntry amdCache(CpuidEntry e) {
        if ((e.eax() & CACHE_TYPE_MASK) == 0) {
            return e;
        }
        return e.with((e.eax() & ~(0xfff << 14)) | sharing(e.eax()) << 14, e.ebx(), e.ecx(), e.edx());
    }

    private int sharing(int eax) {
        int level = eax >>> 5 & 0x7;
        return level >= LAST_LEVEL ? topology.apicIdSpan() - 1 : 0;
    }

    private CpuidEntry amdFeatures(CpuidEntry e) {
        int ecx = topology.vcpus() > 1 ? e.ecx() | FEATURE_CMP_LEGACY : e.ecx() & ~FEATURE_CMP_LEGACY;
        return e.with(e.eax(), e.ebx(), ecx, e.edx());
    }

    /** Leaf 0x80000008: ECX 7:0 cores less one, 15:12 bits of the APIC id that tell them apart. */
    private CpuidEntry amdCores(CpuidEntry e) {
        int ecx = (e.ecx() & ~0xf0ff) | topology.vcpus() - 1 | topology.coreIdBits() << 12;
        return e.with(e.eax(), e.ebx(), ecx, e.edx());
    }

    /** Leaf 0xb: threads of a core (one), then cores of the socket, then the end. */
    private void addTopology(List<CpuidEntry> entries, int apicId) {
        int flags = KvmX86Constants.KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        entries.add(new CpuidEntry(0xb, 0, flags, 0, 1, TOPOLOGY_TYPE_SMT, apicId));
        entries.add(
                new CpuidEntry(0xb, 1, flags, topology.coreIdBits(), topology.vcpus(), TOPOLOGY_TYPE_CORE | 1, apicId));
        entries.add(new CpuidEntry(0xb, 2, flags, 0, 0, 2, apicId));
    }
}
