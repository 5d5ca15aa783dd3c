package io.thimble.kvm;

import io.thimble.kvm.abi.KvmConstants;
import io.thimble.kvm.abi.KvmDebugExitArchLayout;
import io.thimble.kvm.abi.KvmExits;
import io.thimble.kvm.abi.KvmHypervExitLayout;
import io.thimble.kvm.abi.KvmRunLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.Objects;

/**
 * The page that a vCPU shares with the kernel: a view of {@code struct kvm_run} (api.rst, section 5).
 *
 * <p>The accessors of one exit reason mean something only after {@link KvmVcpu#run} returned 0 and
 * {@link #exitReason} is that one. They are for the vCPU's own thread; {@link #setImmediateExit} is for any. Numbers
 * from the guest are as the guest gave them: whoever uses them checks them. Nothing here allocates except
 * {@link #toString}.
 */
public final class KvmRun {
    private static final ValueLayout.OfByte U8 = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT;
    private static final ValueLayout.OfInt U32 = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong U64 = ValueLayout.JAVA_LONG;

    private static final VarHandle U8_HANDLE = U8.varHandle();

    private final MemorySegment page;

    KvmRun(MemorySegment page) {
        this.page = page;
    }

    /** Returns the whole mapping: {@code struct kvm_run}, and behind it the data of port input and output. */
    public MemorySegment segment() {
        return page;
    }

    /**
     * Makes the next or the current {@code KVM_RUN} return {@code -EINTR} at once; a vCPU that is in guest mode needs a
     * signal as well, sent after this. Any thread.
     */
    public void setImmediateExit(boolean exit) {
        U8_HANDLE.setRelease(page, KvmRunLayout.OFFSETOF_IMMEDIATE_EXIT, (byte) (exit ? 1 : 0));
    }

    /** Asks for a {@code KVM_EXIT_IRQ_WINDOW_OPEN} when the guest can take an interrupt. */
    public void setRequestInterruptWindow(boolean request) {
        page.set(U8, KvmRunLayout.OFFSETOF_REQUEST_INTERRUPT_WINDOW, (byte) (request ? 1 : 0));
    }

    /** Returns why the guest left: {@code KVM_EXIT_*}. */
    public int exitReason() {
        return page.get(U32, KvmRunLayout.OFFSETOF_EXIT_REASON);
    }

    /** Tells whether the guest can take an interrupt (without an irqchip in the kernel). */
    public boolean readyForInterruptInjection() {
        return page.get(U8, KvmRunLayout.OFFSETOF_READY_FOR_INTERRUPT_INJECTION) != 0;
    }

    /** Returns the guest's interrupt flag. */
    public boolean ifFlag() {
        return page.get(U8, KvmRunLayout.OFFSETOF_IF_FLAG) != 0;
    }

    /** Returns {@code KVM_RUN_X86_*} flags, for example of a bus lock. */
    public int flags() {
        return Short.toUnsignedInt(page.get(U16, KvmRunLayout.OFFSETOF_FLAGS));
    }

    /** Returns CR8 (without an irqchip in the kernel). */
    public long cr8() {
        return page.get(U64, KvmRunLayout.OFFSETOF_CR8);
    }

    /** Returns IA32_APIC_BASE (without an irqchip in the kernel). */
    public long apicBase() {
        return page.get(U64, KvmRunLayout.OFFSETOF_APIC_BASE);
    }

    /** {@code KVM_EXIT_UNKNOWN}: the processor's own reason. */
    public long hardwareExitReason() {
        return page.get(U64, KvmRunLayout.OFFSETOF_HW_HARDWARE_EXIT_REASON);
    }

    /** {@code KVM_EXIT_FAIL_ENTRY}: the processor's own reason. */
    public long hardwareEntryFailureReason() {
        return page.get(U64, KvmRunLayout.OFFSETOF_FAIL_ENTRY_HARDWARE_ENTRY_FAILURE_REASON);
    }

    /** {@code KVM_EXIT_FAIL_ENTRY}: the host's CPU. */
    public int failEntryCpu() {
        return page.get(U32, KvmRunLayout.OFFSETOF_FAIL_ENTRY_CPU);
    }

    /** {@code KVM_EXIT_EXCEPTION}: the vector. */
    public int exception() {
        return page.get(U32, KvmRunLayout.OFFSETOF_EX_EXCEPTION);
    }

    /** {@code KVM_EXIT_EXCEPTION}: the error code. */
    public int exceptionErrorCode() {
        return page.get(U32, KvmRunLayout.OFFSETOF_EX_ERROR_CODE);
    }

    /** {@code KVM_EXIT_IO}: whether the guest writes. */
    public boolean ioIsOut() {
        return page.get(U8, KvmRunLayout.OFFSETOF_IO_DIRECTION) == KvmExits.KVM_EXIT_IO_OUT;
    }

    /** {@code KVM_EXIT_IO}: the bytes of one access: 1, 2 or 4. */
    public int ioSize() {
        return page.get(U8, KvmRunLayout.OFFSETOF_IO_SIZE);
    }

    /** {@code KVM_EXIT_IO}: the port, 0..65535. */
    public int ioPort() {
        return Short.toUnsignedInt(page.get(U16, KvmRunLayout.OFFSETOF_IO_PORT));
    }

    /** {@code KVM_EXIT_IO}: the number of accesses, more than 1 for string instructions. */
    public int ioCount() {
        return page.get(U32, KvmRunLayout.OFFSETOF_IO_COUNT);
    }

    private long ioDataAt(int index) {
        return page.get(U64, KvmRunLayout.OFFSETOF_IO_DATA_OFFSET) + (long) index * ioSize();
    }

    /** {@code KVM_EXIT_IO}: the value that access {@code index} writes, zero-extended. */
    public long ioData(int index) {
        long at = ioDataAt(index);
        return switch (ioSize()) {
            case 1 -> Byte.toUnsignedLong(page.get(U8, at));
            case 2 -> Short.toUnsignedLong(page.get(ValueLayout.JAVA_SHORT_UNALIGNED, at));
            default -> Integer.toUnsignedLong(page.get(ValueLayout.JAVA_INT_UNALIGNED, at));
        };
    }

    /** {@code KVM_EXIT_IO}: gives the guest what access {@code index} reads. */
    public void setIoData(int index, long value) {
        long at = ioDataAt(index);
        switch (ioSize()) {
            case 1 -> page.set(U8, at, (byte) value);
            case 2 -> page.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) value);
            default -> page.set(ValueLayout.JAVA_INT_UNALIGNED, at, (int) value);
        }
    }

    /** {@code KVM_EXIT_MMIO}: the guest-physical address. */
    public long mmioPhysAddr() {
        return page.get(U64, KvmRunLayout.OFFSETOF_MMIO_PHYS_ADDR);
    }

    /** {@code KVM_EXIT_MMIO}: the bytes of the access: 1 to 8. */
    public int mmioLen() {
        return page.get(U32, KvmRunLayout.OFFSETOF_MMIO_LEN);
    }

    /** {@code KVM_EXIT_MMIO}: whether the guest writes. */
    public boolean mmioIsWrite() {
        return page.get(U8, KvmRunLayout.OFFSETOF_MMIO_IS_WRITE) != 0;
    }

    /** {@code KVM_EXIT_MMIO}: the value that the guest writes, zero-extended. */
    public long mmioData() {
        long all = page.get(U64, KvmRunLayout.OFFSETOF_MMIO_DATA);
        int length = mmioLen();
        return length >= Long.BYTES ? all : all & ((1L << (Byte.SIZE * length)) - 1);
    }

    /** {@code KVM_EXIT_MMIO}: gives the guest what it reads. */
    public void setMmioData(long value) {
        page.set(U64, KvmRunLayout.OFFSETOF_MMIO_DATA, value);
    }

    /** {@code KVM_EXIT_DEBUG}: the vector, 1 or 3. */
    public int debugException() {
        return page.get(U32, KvmRunLayout.OFFSETOF_DEBUG_ARCH + KvmDebugExitArchLayout.OFFSETOF_EXCEPTION);
    }

    /** {@code KVM_EXIT_DEBUG}: the linear address of the instruction. */
    public long debugPc() {
        return page.get(U64, KvmRunLayout.OFFSETOF_DEBUG_ARCH + KvmDebugExitArchLayout.OFFSETOF_PC);
    }

    /** {@code KVM_EXIT_DEBUG}: DR6. */
    public long debugDr6() {
        return page.get(U64, KvmRunLayout.OFFSETOF_DEBUG_ARCH + KvmDebugExitArchLayout.OFFSETOF_DR6);
    }

    /** {@code KVM_EXIT_DEBUG}: DR7. */
    public long debugDr7() {
        return page.get(U64, KvmRunLayout.OFFSETOF_DEBUG_ARCH + KvmDebugExitArchLayout.OFFSETOF_DR7);
    }

    /** {@code KVM_EXIT_HYPERCALL}: its number, {@code KVM_HC_*}. */
    public long hypercallNr() {
        return page.get(U64, KvmRunLayout.OFFSETOF_HYPERCALL_NR);
    }

    /** {@code KVM_EXIT_HYPERCALL}: argument 0..5. */
    public long hypercallArg(int index) {
        Objects.checkIndex(index, (int) KvmRunLayout.COUNTOF_HYPERCALL_ARGS);
        return page.get(U64, KvmRunLayout.OFFSETOF_HYPERCALL_ARGS + (long) index * Long.BYTES);
    }

    /** {@code KVM_EXIT_HYPERCALL}: gives the guest the result. */
    public void setHypercallRet(long value) {
        page.set(U64, KvmRunLayout.OFFSETOF_HYPERCALL_RET, value);
    }

    /** {@code KVM_EXIT_TPR_ACCESS}: the guest's instruction pointer. */
    public long tprAccessRip() {
        return page.get(U64, KvmRunLayout.OFFSETOF_TPR_ACCESS_RIP);
    }

    /** {@code KVM_EXIT_TPR_ACCESS}: whether the guest writes. */
    public boolean tprAccessIsWrite() {
        return page.get(U32, KvmRunLayout.OFFSETOF_TPR_ACCESS_IS_WRITE) != 0;
    }

    /** {@code KVM_EXIT_INTERNAL_ERROR}: {@code KVM_INTERNAL_ERROR_*}. */
    public int internalSuberror() {
        return page.get(U32, KvmRunLayout.OFFSETOF_INTERNAL_SUBERROR);
    }

    /** {@code KVM_EXIT_INTERNAL_ERROR}: how many words of data follow, 0..16. */
    public int internalNdata() {
        int n = page.get(U32, KvmRunLayout.OFFSETOF_INTERNAL_NDATA);
        return Math.clamp(Integer.toUnsignedLong(n), 0, (int) KvmRunLayout.COUNTOF_INTERNAL_DATA);
    }

    /** {@code KVM_EXIT_INTERNAL_ERROR}: word {@code index} of the data. */
    public long internalData(int index) {
        Objects.checkIndex(index, internalNdata());
        return page.get(U64, KvmRunLayout.OFFSETOF_INTERNAL_DATA + (long) index * Long.BYTES);
    }

    /** {@code KVM_INTERNAL_ERROR_EMULATION}: the bytes of the instruction that could not be emulated; may be empty. */
    public byte[] emulationFailureInsnBytes() {
        int size = page.get(U8, KvmRunLayout.OFFSETOF_EMULATION_FAILURE_INSN_SIZE);
        boolean given = internalNdata() > 0
                && (page.get(U64, KvmRunLayout.OFFSETOF_EMULATION_FAILURE_FLAGS)
                                & KvmConstants.KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)
                        != 0;
        int length = given ? Math.clamp(size, 0, (int) KvmRunLayout.COUNTOF_EMULATION_FAILURE_INSN_BYTES) : 0;
        return page.asSlice(KvmRunLayout.OFFSETOF_EMULATION_FAILURE_INSN_BYTES, length)
                .toArray(U8);
    }

    /** {@code KVM_EXIT_SYSTEM_EVENT}: {@code KVM_SYSTEM_EVENT_*}. */
    public int systemEventType() {
        return page.get(U32, KvmRunLayout.OFFSETOF_SYSTEM_EVENT_TYPE);
    }

    /** {@code KVM_EXIT_SYSTEM_EVENT}: how many words of data follow, 0..16. */
    public int systemEventNdata() {
        int n = page.get(U32, KvmRunLayout.OFFSETOF_SYSTEM_EVENT_NDATA);
        return Math.clamp(Integer.toUnsignedLong(n), 0, (int) KvmRunLayout.COUNTOF_SYSTEM_EVENT_DATA);
    }

    /** {@code KVM_EXIT_SYSTEM_EVENT}: word {@code index} of the data. */
    public long systemEventData(int index) {
        Objects.checkIndex(index, systemEventNdata());
        return page.get(U64, KvmRunLayout.OFFSETOF_SYSTEM_EVENT_DATA + (long) index * Long.BYTES);
    }

    /** {@code KVM_EXIT_IOAPIC_EOI}: the vector whose interrupt has ended (split irqchip). */
    public int eoiVector() {
        return Byte.toUnsignedInt(page.get(U8, KvmRunLayout.OFFSETOF_EOI_VECTOR));
    }

    /** {@code KVM_EXIT_HYPERV}: {@code KVM_EXIT_HYPERV_SYNIC}, {@code _HCALL} or {@code _SYNDBG}. */
    public int hypervType() {
        return page.get(U32, KvmRunLayout.OFFSETOF_HYPERV + KvmHypervExitLayout.OFFSETOF_TYPE);
    }

    /** {@code KVM_EXIT_X86_RDMSR}, {@code KVM_EXIT_X86_WRMSR}: the register's number. */
    public int msrIndex() {
        return page.get(U32, KvmRunLayout.OFFSETOF_MSR_INDEX);
    }

    /** {@code KVM_EXIT_X86_RDMSR}, {@code KVM_EXIT_X86_WRMSR}: {@code KVM_MSR_EXIT_REASON_*}. */
    public int msrReason() {
        return page.get(U32, KvmRunLayout.OFFSETOF_MSR_REASON);
    }

    /** {@code KVM_EXIT_X86_WRMSR}: the value that the guest writes. */
    public long msrData() {
        return page.get(U64, KvmRunLayout.OFFSETOF_MSR_DATA);
    }

    /** {@code KVM_EXIT_X86_RDMSR}: gives the guest what it reads. */
    public void setMsrData(long value) {
        page.set(U64, KvmRunLayout.OFFSETOF_MSR_DATA, value);
    }

    /** {@code KVM_EXIT_X86_RDMSR}, {@code KVM_EXIT_X86_WRMSR}: true injects a general-protection fault. */
    public void setMsrError(boolean error) {
        page.set(U8, KvmRunLayout.OFFSETOF_MSR_ERROR, (byte) (error ? 1 : 0));
    }

    /** {@code KVM_EXIT_XEN}: the {@code struct kvm_xen_exit}. */
    public MemorySegment xen() {
        return page.asSlice(KvmRunLayout.OFFSETOF_XEN, KvmRunLayout.SIZEOF_XEN);
    }

    /** {@code KVM_EXIT_NOTIFY}: {@code KVM_NOTIFY_CONTEXT_INVALID} or 0. */
    public int notifyFlags() {
        return page.get(U32, KvmRunLayout.OFFSETOF_NOTIFY_FLAGS);
    }

    /** {@code KVM_EXIT_MEMORY_FAULT}: {@code KVM_MEMORY_EXIT_FLAG_*}. */
    public long memoryFaultFlags() {
        return page.get(U64, KvmRunLayout.OFFSETOF_MEMORY_FAULT_FLAGS);
    }

    /** {@code KVM_EXIT_MEMORY_FAULT}: the guest-physical address. */
    public long memoryFaultGpa() {
        return page.get(U64, KvmRunLayout.OFFSETOF_MEMORY_FAULT_GPA);
    }

    /** {@code KVM_EXIT_MEMORY_FAULT}: bytes. */
    public long memoryFaultSize() {
        return page.get(U64, KvmRunLayout.OFFSETOF_MEMORY_FAULT_SIZE);
    }

    /** {@code KVM_EXIT_SNP_REQ_CERTS}: the parameters, as {@code struct kvm_run} has them. */
    public MemorySegment snpReqCerts() {
        return page.asSlice(KvmRunLayout.OFFSETOF_SNP_REQ_CERTS, KvmRunLayout.SIZEOF_SNP_REQ_CERTS);
    }

    /** {@code KVM_EXIT_TDX}: the parameters, as {@code struct kvm_run} has them. */
    public MemorySegment tdx() {
        return page.asSlice(KvmRunLayout.OFFSETOF_TDX, KvmRunLayout.SIZEOF_TDX);
    }

    /** Returns the exit reason with what it carries, for reports. */
    @Override
    public String toString() {
        return KvmExitText.describe(this);
    }
}
