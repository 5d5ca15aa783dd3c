package io.thimble.kvm;

import io.thimble.kvm.abi.KvmRegsLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A vCPU's general registers: a view of a {@code struct kvm_regs}. Setters return the view, so that they chain.
 *
 * <p>Not thread-safe.
 */
public final class KvmRegs {
    private final MemorySegment segment;

    /** Allocates registers that are all zero; they live as long as {@code arena}. */
    public KvmRegs(Arena arena) {
        this.segment = arena.allocate(KvmRegsLayout.SIZEOF, Long.BYTES);
    }

    /** Returns the {@code struct kvm_regs}. */
    public MemorySegment segment() {
        return segment;
    }

    private long get(long offset) {
        return segment.get(ValueLayout.JAVA_LONG, offset);
    }

    private KvmRegs set(long offset, long value) {
        segment.set(ValueLayout.JAVA_LONG, offset, value);
        return this;
    }

    /** Returns RAX. */
    public long rax() {
        return get(KvmRegsLayout.OFFSETOF_RAX);
    }

    /** Sets RAX. */
    public KvmRegs rax(long value) {
        return set(KvmRegsLayout.OFFSETOF_RAX, value);
    }

    /** Returns RBX. */
    public long rbx() {
        return get(KvmRegsLayout.OFFSETOF_RBX);
    }

    /** Sets RBX. */
    public KvmRegs rbx(long value) {
        return set(KvmRegsLayout.OFFSETOF_RBX, value);
    }

    /** Returns RCX. */
    public long rcx() {
        return get(KvmRegsLayout.OFFSETOF_RCX);
    }

    /** Sets RCX. */
    public KvmRegs rcx(long value) {
        return set(KvmRegsLayout.OFFSETOF_RCX, value);
    }

    /** Returns RDX. */
    public long rdx() {
        return get(KvmRegsLayout.OFFSETOF_RDX);
    }

    /** Sets RDX. */
    public KvmRegs rdx(long value) {
        return set(KvmRegsLayout.OFFSETOF_RDX, value);
    }

    /** Returns RSI. */
    public long rsi() {
        return get(KvmRegsLayout.OFFSETOF_RSI);
    }

    /** Sets RSI. */
    public KvmRegs rsi(long value) {
        return set(KvmRegsLayout.OFFSETOF_RSI, value);
    }

    /** Returns RDI. */
    public long rdi() {
        return get(KvmRegsLayout.OFFSETOF_RDI);
    }

    /** Sets RDI. */
    public KvmRegs rdi(long value) {
        return set(KvmRegsLayout.OFFSETOF_RDI, value);
    }

    /** Returns RSP. */
    public long rsp() {
        return get(KvmRegsLayout.OFFSETOF_RSP);
    }

    /** Sets RSP. */
    public KvmRegs rsp(long value) {
        return set(KvmRegsLayout.OFFSETOF_RSP, value);
    }

    /** Returns RBP. */
    public long rbp() {
        return get(KvmRegsLayout.OFFSETOF_RBP);
    }

    /** Sets RBP. */
    public KvmRegs rbp(long value) {
        return set(KvmRegsLayout.OFFSETOF_RBP, value);
    }

    /** Returns R8. */
    public long r8() {
        return get(KvmRegsLayout.OFFSETOF_R8);
    }

    /** Sets R8. */
    public KvmRegs r8(long value) {
        return set(KvmRegsLayout.OFFSETOF_R8, value);
    }

    /** Returns R9. */
    public long r9() {
        return get(KvmRegsLayout.OFFSETOF_R9);
    }

    /** Sets R9. */
    public KvmRegs r9(long value) {
        return set(KvmRegsLayout.OFFSETOF_R9, value);
    }

    /** Returns R10. */
    public long r10() {
        return get(KvmRegsLayout.OFFSETOF_R10);
    }

    /** Sets R10. */
    public KvmRegs r10(long value) {
        return set(KvmRegsLayout.OFFSETOF_R10, value);
    }

    /** Returns R11. */
    public long r11() {
        return get(KvmRegsLayout.OFFSETOF_R11);
    }

    /** Sets R11. */
    public KvmRegs r11(long value) {
        return set(KvmRegsLayout.OFFSETOF_R11, value);
    }

    /** Returns R12. */
    public long r12() {
        return get(KvmRegsLayout.OFFSETOF_R12);
    }

    /** Sets R12. */
    public KvmRegs r12(long value) {
        return set(KvmRegsLayout.OFFSETOF_R12, value);
    }

    /** Returns R13. */
    public long r13() {
        return get(KvmRegsLayout.OFFSETOF_R13);
    }

    /** Sets R13. */
    public KvmRegs r13(long value) {
        return set(KvmRegsLayout.OFFSETOF_R13, value);
    }

    /** Returns R14. */
    public long r14() {
        return get(KvmRegsLayout.OFFSETOF_R14);
    }

    /** Sets R14. */
    public KvmRegs r14(long value) {
        return set(KvmRegsLayout.OFFSETOF_R14, value);
    }

    /** Returns R15. */
    public long r15() {
        return get(KvmRegsLayout.OFFSETOF_R15);
    }

    /** Sets R15. */
    public KvmRegs r15(long value) {
        return set(KvmRegsLayout.OFFSETOF_R15, value);
    }

    /** Returns RIP. */
    public long rip() {
        return get(KvmRegsLayout.OFFSETOF_RIP);
    }

    /** Sets RIP. */
    public KvmRegs rip(long value) {
        return set(KvmRegsLayout.OFFSETOF_RIP, value);
    }

    /** Returns RFLAGS. */
    public long rflags() {
        return get(KvmRegsLayout.OFFSETOF_RFLAGS);
    }

    /** Sets RFLAGS. */
    public KvmRegs rflags(long value) {
        return set(KvmRegsLayout.OFFSETOF_RFLAGS, value);
    }

    @Override
    public String toString() {
        return """
                rip=%016x rflags=%08x
                rax=%016x rbx=%016x rcx=%016x rdx=%016x
                rsi=%016x rdi=%016x rsp=%016x rbp=%016x
                r8 =%016x r9 =%016x r10=%016x r11=%016x
                r12=%016x r13=%016x r14=%016x r15=%016x""".formatted(
                        rip(), rflags(), rax(), rbx(), rcx(), rdx(), rsi(), rdi(), rsp(), rbp(), r8(), r9(), r10(),
                        r11(), r12(), r13(), r14(), r15());
    }
}
