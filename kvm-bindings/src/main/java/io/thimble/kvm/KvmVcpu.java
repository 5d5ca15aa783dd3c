package io.thimble.kvm;

import io.thimble.kvm.abi.KvmCpuid2Layout;
import io.thimble.kvm.abi.KvmDebugregsLayout;
import io.thimble.kvm.abi.KvmFpuLayout;
import io.thimble.kvm.abi.KvmIoctls;
import io.thimble.kvm.abi.KvmLapicStateLayout;
import io.thimble.kvm.abi.KvmMpStateLayout;
import io.thimble.kvm.abi.KvmRegsLayout;
import io.thimble.kvm.abi.KvmSregs2Layout;
import io.thimble.kvm.abi.KvmSregsLayout;
import io.thimble.kvm.abi.KvmVcpuEventsLayout;
import io.thimble.kvm.abi.KvmXcrsLayout;
import io.thimble.kvm.abi.KvmXsaveLayout;
import io.thimble.linux.Fd;
import io.thimble.linux.Mman;
import io.thimble.linux.Syscall;
import io.thimble.linux.abi.Errnos;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/**
 * A virtual processor: its registers, and {@link #run} (api.rst, "vcpu ioctls").
 *
 * <p>One thread, the vCPU's own, calls everything here; another thread may call only
 * {@link KvmRun#setImmediateExit}. {@link #close} comes after the last use, from any thread.
 *
 * <p>State that has no view of its own is a raw structure in a memory segment: its offsets are in
 * {@code io.thimble.kvm.abi}, in the class of the structure's name.
 */
public final class KvmVcpu implements AutoCloseable {
    private final int id;
    private final Fd fd;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment capture;
    private final KvmRun run;

    KvmVcpu(Kvm kvm, int id, Fd fd) {
        this.id = id;
        this.fd = fd;
        this.capture = Syscall.newCapture(arena);
        try {
            this.run = new KvmRun(Mman.shared(arena, fd, kvm.vcpuMmapSize(), 0));
        } catch (RuntimeException e) {
            fd.close();
            arena.close();
            throw e;
        }
    }

    static MemorySegment sized(MemorySegment structure, long size) {
        if (structure.byteSize() < size) {
            throw new IllegalArgumentException(
                    "the structure has " + size + " bytes, the segment " + structure.byteSize());
        }
        return structure;
    }

    private void ioctl(String operation, long request, MemorySegment argument) {
        KvmException.checked(operation, Syscall.ioctl(capture, fd.number(), request, argument.address()));
    }

    private MemorySegment get(String operation, long request, Arena into, long size) {
        MemorySegment structure = into.allocate(size, Long.BYTES);
        ioctl(operation, request, structure);
        return structure;
    }

    private void set(String operation, long request, MemorySegment structure, long size) {
        ioctl(operation, request, sized(structure, size));
    }

    /** Returns the number it was created with. */
    public int id() {
        return id;
    }

    /** Returns the view of the page that this vCPU shares with the kernel. */
    public KvmRun kvmRun() {
        return run;
    }

    /**
     * Runs the guest until it exits to user space ({@code KVM_RUN}); {@link KvmRun} then says why.
     *
     * @return 0, or {@code -errno}: {@code -EINTR} after a signal or {@code immediate_exit}, {@code -EAGAIN} when a
     *     vCPU that waited for its start-up interrupt was woken
     */
    public int run() {
        return (int) Syscall.ioctl(capture, fd.number(), KvmIoctls.KVM_RUN, 0);
    }

    /** Reads the general registers into {@code regs}. */
    public void getRegs(KvmRegs regs) {
        ioctl("KVM_GET_REGS", KvmIoctls.KVM_GET_REGS, sized(regs.segment(), KvmRegsLayout.SIZEOF));
    }

    /** Sets the general registers. */
    public void setRegs(KvmRegs regs) {
        ioctl("KVM_SET_REGS", KvmIoctls.KVM_SET_REGS, regs.segment());
    }

    /** Reads the special registers into {@code sregs}. */
    public void getSregs(KvmSregs sregs) {
        ioctl("KVM_GET_SREGS", KvmIoctls.KVM_GET_SREGS, sized(sregs.segment(), KvmSregsLayout.SIZEOF));
    }

    /** Sets the special registers; a long-mode state needs {@link #setCpuid2} before. */
    public void setSregs(KvmSregs sregs) {
        ioctl("KVM_SET_SREGS", KvmIoctls.KVM_SET_SREGS, sregs.segment());
    }

    /** Reads the special registers with the PDPTRs, a {@code struct kvm_sregs2}. */
    public MemorySegment getSregs2(Arena into) {
        return get("KVM_GET_SREGS2", KvmIoctls.KVM_GET_SREGS2, into, KvmSregs2Layout.SIZEOF);
    }

    /** Restores what {@link #getSregs2} gave. */
    public void setSregs2(MemorySegment sregs2) {
        set("KVM_SET_SREGS2", KvmIoctls.KVM_SET_SREGS2, sregs2, KvmSregs2Layout.SIZEOF);
    }

    /** Reads the x87 and SSE registers, a {@code struct kvm_fpu}. */
    public MemorySegment getFpu(Arena into) {
        return get("KVM_GET_FPU", KvmIoctls.KVM_GET_FPU, into, KvmFpuLayout.SIZEOF);
    }

    /** Sets the x87 and SSE registers. */
    public void setFpu(MemorySegment fpu) {
        set("KVM_SET_FPU", KvmIoctls.KVM_SET_FPU, fpu, KvmFpuLayout.SIZEOF);
    }

    /**
     * Reads the whole XSAVE area ({@code KVM_GET_XSAVE2}).
     *
     * @param size what {@code KVM_CHECK_EXTENSION} of {@code KVM_CAP_XSAVE2} says for the VM; at least 4096
     */
    public MemorySegment getXsave2(Arena into, int size) {
        if (size < KvmXsaveLayout.SIZEOF) {
            throw new IllegalArgumentException(
                    "the kernel writes at least " + KvmXsaveLayout.SIZEOF + " bytes, not " + size);
        }
        return get("KVM_GET_XSAVE2", KvmIoctls.KVM_GET_XSAVE2, into, size);
    }

    /** Restores what {@link #getXsave2} gave. */
    public void setXsave(MemorySegment xsave) {
        set("KVM_SET_XSAVE", KvmIoctls.KVM_SET_XSAVE, xsave, KvmXsaveLayout.SIZEOF);
    }

    /** Reads the extended control registers, a {@code struct kvm_xcrs}. */
    public MemorySegment getXcrs(Arena into) {
        return get("KVM_GET_XCRS", KvmIoctls.KVM_GET_XCRS, into, KvmXcrsLayout.SIZEOF);
    }

    /** Restores what {@link #getXcrs} gave. */
    public void setXcrs(MemorySegment xcrs) {
        set("KVM_SET_XCRS", KvmIoctls.KVM_SET_XCRS, xcrs, KvmXcrsLayout.SIZEOF);
    }

    /**
     * Reads MSRs. The kernel stops at the first that it cannot read: the result may be shorter than asked.
     *
     * @param indices the registers' numbers
     */
    public List<MsrEntry> getMsrs(int... indices) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment msrs = MsrEntry.encode(
                    call,
                    Arrays.stream(indices).mapToObj(i -> new MsrEntry(i, 0)).toList());
            long result = Syscall.ioctl(capture, fd.number(), KvmIoctls.KVM_GET_MSRS, msrs.address());
            return MsrEntry.decode(msrs, (int) KvmException.checked("KVM_GET_MSRS", result));
        }
    }

    /**
     * Sets MSRs, in order.
     *
     * @return how many were set; the first one behind them is refused by the host
     */
    public int setMsrs(List<MsrEntry> entries) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment msrs = MsrEntry.encode(call, entries);
            long result = Syscall.ioctl(capture, fd.number(), KvmIoctls.KVM_SET_MSRS, msrs.address());
            return (int) KvmException.checked("KVM_SET_MSRS", result);
        }
    }

    /** Reads the local APIC's registers, a {@code struct kvm_lapic_state}. */
    public MemorySegment getLapic(Arena into) {
        return get("KVM_GET_LAPIC", KvmIoctls.KVM_GET_LAPIC, into, KvmLapicStateLayout.SIZEOF);
    }

    /** Sets the local APIC's registers. */
    public void setLapic(MemorySegment lapic) {
        set("KVM_SET_LAPIC", KvmIoctls.KVM_SET_LAPIC, lapic, KvmLapicStateLayout.SIZEOF);
    }

    /** Returns the multiprocessing state, {@code KVM_MP_STATE_*}. */
    public int mpState() {
        try (Arena call = Arena.ofConfined()) {
            return get("KVM_GET_MP_STATE", KvmIoctls.KVM_GET_MP_STATE, call, KvmMpStateLayout.SIZEOF)
                    .get(ValueLayout.JAVA_INT, KvmMpStateLayout.OFFSETOF_MP_STATE);
        }
    }

    /** Sets the multiprocessing state, {@code KVM_MP_STATE_*}. */
    public void setMpState(int mpState) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment state = call.allocateFrom(ValueLayout.JAVA_INT, mpState);
            set("KVM_SET_MP_STATE", KvmIoctls.KVM_SET_MP_STATE, state, KvmMpStateLayout.SIZEOF);
        }
    }

    /** Reads pending exceptions, interrupts and NMIs, a {@code struct kvm_vcpu_events}. */
    public MemorySegment getVcpuEvents(Arena into) {
        return get("KVM_GET_VCPU_EVENTS", KvmIoctls.KVM_GET_VCPU_EVENTS, into, KvmVcpuEventsLayout.SIZEOF);
    }

    /** Restores what {@link #getVcpuEvents} gave. */
    public void setVcpuEvents(MemorySegment events) {
        set("KVM_SET_VCPU_EVENTS", KvmIoctls.KVM_SET_VCPU_EVENTS, events, KvmVcpuEventsLayout.SIZEOF);
    }

    /** Reads the debug registers, a {@code struct kvm_debugregs}. */
    public MemorySegment getDebugregs(Arena into) {
        return get("KVM_GET_DEBUGREGS", KvmIoctls.KVM_GET_DEBUGREGS, into, KvmDebugregsLayout.SIZEOF);
    }

    /** Restores what {@link #getDebugregs} gave. */
    public void setDebugregs(MemorySegment debugregs) {
        set("KVM_SET_DEBUGREGS", KvmIoctls.KVM_SET_DEBUGREGS, debugregs, KvmDebugregsLayout.SIZEOF);
    }

    /** Sets what the guest's CPUID instruction answers; before {@link #setSregs} and the first {@link #run}. */
    public void setCpuid2(List<CpuidEntry> entries) {
        try (Arena call = Arena.ofConfined()) {
            ioctl("KVM_SET_CPUID2", KvmIoctls.KVM_SET_CPUID2, CpuidEntry.encode(call, entries));
        }
    }

    /** Returns what the guest's CPUID instruction answers. */
    public List<CpuidEntry> getCpuid2() {
        for (int capacity = 256; ; capacity *= 2) {
            try (Arena call = Arena.ofConfined()) {
                MemorySegment cpuid = CpuidEntry.allocate(call, capacity);
                long result = Syscall.ioctl(capture, fd.number(), KvmIoctls.KVM_GET_CPUID2, cpuid.address());
                if (result == -Errnos.E2BIG
                        && cpuid.get(ValueLayout.JAVA_INT, KvmCpuid2Layout.OFFSETOF_NENT) > capacity) {
                    continue;
                }
                KvmException.checked("KVM_GET_CPUID2", result);
                return CpuidEntry.decode(cpuid);
            }
        }
    }

    @Override
    public void close() {
        if (fd.closeIfOpen()) {
            arena.close();
        }
    }

    @Override
    public String toString() {
        return fd.toString();
    }
}
