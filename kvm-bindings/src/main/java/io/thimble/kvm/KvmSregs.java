package io.thimble.kvm;

import io.thimble.kvm.abi.KvmDtableLayout;
import io.thimble.kvm.abi.KvmSregsLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A vCPU's special registers: a view of a {@code struct kvm_sregs}. Setters return the view, so that they chain.
 *
 * <p>Not thread-safe.
 */
public final class KvmSregs {
    private final MemorySegment segment;

    /** Allocates registers that are all zero; they live as long as {@code arena}. */
    public KvmSregs(Arena arena) {
        this.segment = arena.allocate(KvmSregsLayout.SIZEOF, Long.BYTES);
    }

    /** Returns the {@code struct kvm_sregs}. */
    public MemorySegment segment() {
        return segment;
    }

    private long get(long offset) {
        return segment.get(ValueLayout.JAVA_LONG, offset);
    }

    private KvmSregs set(long offset, long value) {
        segment.set(ValueLayout.JAVA_LONG, offset, value);
        return this;
    }

    /** Returns a view of CS. */
    public KvmSegment cs() {
        return new KvmSegment(segment, KvmSregsLayout.OFFSETOF_CS);
    }

    /** Returns a view of DS. */
    public KvmSegment ds() {
        return new KvmSegment(segment, KvmSregsLayout.OFFSETOF_DS);
    }

    /** Returns a view of ES. */
    public KvmSegment es() {
        return new KvmSegment(segment, KvmSregsLayout.OFFSETOF_ES);
    }

    /** Returns a view of FS. */
    public KvmSegment fs() {
        return new KvmSegment(segment, KvmSregsLayout.OFFSETOF_FS);
    }

    /** Returns a view of GS. */
    public KvmSegment gs() {
        return new KvmSegment(segment, KvmSregsLayout.OFFSETOF_GS);
    }

    /** Returns a view of SS. */
    public KvmSegment ss() {
        return new KvmSegment(segment, KvmSregsLayout.OFFSETOF_SS);
    }

    /** Returns a view of TR. */
    public KvmSegment tr() {
        return new KvmSegment(segment, KvmSregsLayout.OFFSETOF_TR);
    }

    /** Returns a view of LDT. */
    public KvmSegment ldt() {
        return new KvmSegment(segment, KvmSregsLayout.OFFSETOF_LDT);
    }

    /** Returns the base of the GDT, a linear address. */
    public long gdtBase() {
        return get(KvmSregsLayout.OFFSETOF_GDT + KvmDtableLayout.OFFSETOF_BASE);
    }

    /** Returns the limit of the GDT: its size in bytes, less one. */
    public int gdtLimit() {
        return Short.toUnsignedInt(
                segment.get(ValueLayout.JAVA_SHORT, KvmSregsLayout.OFFSETOF_GDT + KvmDtableLayout.OFFSETOF_LIMIT));
    }

    /** Sets the GDT's base (a linear address) and limit (its size in bytes, less one). */
    public KvmSregs gdt(long base, int limit) {
        segment.set(
                ValueLayout.JAVA_SHORT, KvmSregsLayout.OFFSETOF_GDT + KvmDtableLayout.OFFSETOF_LIMIT, (short) limit);
        return set(KvmSregsLayout.OFFSETOF_GDT + KvmDtableLayout.OFFSETOF_BASE, base);
    }

    /** Returns the base of the IDT, a linear address. */
    public long idtBase() {
        return get(KvmSregsLayout.OFFSETOF_IDT + KvmDtableLayout.OFFSETOF_BASE);
    }

    /** Returns the limit of the IDT: its size in bytes, less one. */
    public int idtLimit() {
        return Short.toUnsignedInt(
                segment.get(ValueLayout.JAVA_SHORT, KvmSregsLayout.OFFSETOF_IDT + KvmDtableLayout.OFFSETOF_LIMIT));
    }

    /** Sets the IDT's base (a linear address) and limit (its size in bytes, less one). */
    public KvmSregs idt(long base, int limit) {
        segment.set(
                ValueLayout.JAVA_SHORT, KvmSregsLayout.OFFSETOF_IDT + KvmDtableLayout.OFFSETOF_LIMIT, (short) limit);
        return set(KvmSregsLayout.OFFSETOF_IDT + KvmDtableLayout.OFFSETOF_BASE, base);
    }

    /** Returns CR0. */
    public long cr0() {
        return get(KvmSregsLayout.OFFSETOF_CR0);
    }

    /** Sets CR0. */
    public KvmSregs cr0(long value) {
        return set(KvmSregsLayout.OFFSETOF_CR0, value);
    }

    /** Returns CR2. */
    public long cr2() {
        return get(KvmSregsLayout.OFFSETOF_CR2);
    }

    /** Sets CR2. */
    public KvmSregs cr2(long value) {
        return set(KvmSregsLayout.OFFSETOF_CR2, value);
    }

    /** Returns CR3. */
    public long cr3() {
        return get(KvmSregsLayout.OFFSETOF_CR3);
    }

    /** Sets CR3. */
    public KvmSregs cr3(long value) {
        return set(KvmSregsLayout.OFFSETOF_CR3, value);
    }

    /** Returns CR4. */
    public long cr4() {
        return get(KvmSregsLayout.OFFSETOF_CR4);
    }

    /** Sets CR4. */
    public KvmSregs cr4(long value) {
        return set(KvmSregsLayout.OFFSETOF_CR4, value);
    }

    /** Returns CR8. */
    public long cr8() {
        return get(KvmSregsLayout.OFFSETOF_CR8);
    }

    /** Sets CR8. */
    public KvmSregs cr8(long value) {
        return set(KvmSregsLayout.OFFSETOF_CR8, value);
    }

    /** Returns EFER. */
    public long efer() {
        return get(KvmSregsLayout.OFFSETOF_EFER);
    }

    /** Sets EFER. */
    public KvmSregs efer(long value) {
        return set(KvmSregsLayout.OFFSETOF_EFER, value);
    }

    /** Returns IA32_APIC_BASE. */
    public long apicBase() {
        return get(KvmSregsLayout.OFFSETOF_APIC_BASE);
    }

    /** Sets IA32_APIC_BASE. */
    public KvmSregs apicBase(long value) {
        return set(KvmSregsLayout.OFFSETOF_APIC_BASE, value);
    }

    @Override
    public String toString() {
        return """
                cr0=%08x cr2=%016x cr3=%016x cr4=%08x efer=%x apic_base=%x
                cs=%s ss=%s
                ds=%s es=%s
                fs=%s gs=%s
                tr=%s ldt=%s
                gdt=%x/%x idt=%x/%x""".formatted(
                        cr0(),
                        cr2(),
                        cr3(),
                        cr4(),
                        efer(),
                        apicBase(),
                        cs(),
                        ss(),
                        ds(),
                        es(),
                        fs(),
                        gs(),
                        tr(),
                        ldt(),
                        gdtBase(),
                        gdtLimit(),
                        idtBase(),
                        idtLimit());
    }
}
