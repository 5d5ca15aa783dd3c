package io.thimble.vmm.x86;

/**
 * How the vCPUs of a machine are arranged: one socket, one core for each vCPU, no hardware threads; a vCPU's number is
 * its APIC id.
 *
 * @param vcpus how many there are, 1..{@link #MAX_VCPUS}
 */
public record Topology(int vcpus) {
    /**
     * The most vCPUs a machine can have: with 8-bit APIC ids, 255 is broadcast and one id is the IOAPIC's.
     */
    public static final int MAX_VCPUS = 254;

    /** Checks the range. */
    public Topology {
        if (vcpus < 1 || vcpus > MAX_VCPUS) {
            throw new IllegalArgumentException("vCPUs: " + vcpus + ", not in 1.." + MAX_VCPUS);
        }
    }

    /** Returns how many low bits of an APIC id tell the cores of the socket apart. */
    int coreIdBits() {
        return Integer.SIZE - Integer.numberOfLeadingZeros(vcpus - 1);
    }

    /** Returns how many APIC ids the socket spans: {@link #vcpus} rounded up to a power of two. */
    int apicIdSpan() {
        return 1 << coreIdBits();
    }

    /** Returns the IOAPIC's id: the one behind the vCPUs'. */
    public int ioapicId() {
        return vcpus;
    }
}
