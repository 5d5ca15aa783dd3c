package io.thimble.kvm;

import io.thimble.kvm.abi.KvmSegmentLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A segment register: a view of a {@code struct kvm_segment}. Setters return the view, so that they chain.
 *
 * <p>Not thread-safe.
 */
public final class KvmSegment {
    private final MemorySegment segment;
    private final long at;

    KvmSegment(MemorySegment segment, long at) {
        this.segment = segment;
        this.at = at;
    }

    /** Returns the linear address at which it begins. */
    public long base() {
        return segment.get(ValueLayout.JAVA_LONG, at + KvmSegmentLayout.OFFSETOF_BASE);
    }

    /** Sets the linear address at which it begins. */
    public KvmSegment base(long value) {
        segment.set(ValueLayout.JAVA_LONG, at + KvmSegmentLayout.OFFSETOF_BASE, value);
        return this;
    }

    /** Returns its size in bytes, less one. */
    public int limit() {
        return segment.get(ValueLayout.JAVA_INT, at + KvmSegmentLayout.OFFSETOF_LIMIT);
    }

    /** Sets its size in bytes, less one. */
    public KvmSegment limit(int value) {
        segment.set(ValueLayout.JAVA_INT, at + KvmSegmentLayout.OFFSETOF_LIMIT, value);
        return this;
    }

    /** Returns the selector. */
    public short selector() {
        return segment.get(ValueLayout.JAVA_SHORT, at + KvmSegmentLayout.OFFSETOF_SELECTOR);
    }

    /** Sets the selector. */
    public KvmSegment selector(short value) {
        segment.set(ValueLayout.JAVA_SHORT, at + KvmSegmentLayout.OFFSETOF_SELECTOR, value);
        return this;
    }

    /** Returns the type of the descriptor, 0..15. */
    public int type() {
        return getByte(KvmSegmentLayout.OFFSETOF_TYPE);
    }

    /** Sets the type of the descriptor, 0..15. */
    public KvmSegment type(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_TYPE, value);
    }

    /** Returns the P bit. */
    public int present() {
        return getByte(KvmSegmentLayout.OFFSETOF_PRESENT);
    }

    /** Sets the P bit. */
    public KvmSegment present(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_PRESENT, value);
    }

    /** Returns the privilege level, 0..3. */
    public int dpl() {
        return getByte(KvmSegmentLayout.OFFSETOF_DPL);
    }

    /** Sets the privilege level, 0..3. */
    public KvmSegment dpl(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_DPL, value);
    }

    /** Returns the D/B bit: 1 for 32-bit. */
    public int db() {
        return getByte(KvmSegmentLayout.OFFSETOF_DB);
    }

    /** Sets the D/B bit: 1 for 32-bit. */
    public KvmSegment db(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_DB, value);
    }

    /** Returns the S bit: 1 for code and data. */
    public int s() {
        return getByte(KvmSegmentLayout.OFFSETOF_S);
    }

    /** Sets the S bit: 1 for code and data. */
    public KvmSegment s(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_S, value);
    }

    /** Returns the L bit: 1 for 64-bit code. */
    public int l() {
        return getByte(KvmSegmentLayout.OFFSETOF_L);
    }

    /** Sets the L bit: 1 for 64-bit code. */
    public KvmSegment l(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_L, value);
    }

    /** Returns the G bit: 1 if the limit counts pages. */
    public int g() {
        return getByte(KvmSegmentLayout.OFFSETOF_G);
    }

    /** Sets the G bit: 1 if the limit counts pages. */
    public KvmSegment g(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_G, value);
    }

    /** Returns the AVL bit. */
    public int avl() {
        return getByte(KvmSegmentLayout.OFFSETOF_AVL);
    }

    /** Sets the AVL bit. */
    public KvmSegment avl(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_AVL, value);
    }

    /** Returns 1 for a null selector. */
    public int unusable() {
        return getByte(KvmSegmentLayout.OFFSETOF_UNUSABLE);
    }

    /** Sets 1 for a null selector. */
    public KvmSegment unusable(int value) {
        return setByte(KvmSegmentLayout.OFFSETOF_UNUSABLE, value);
    }

    private int getByte(long offset) {
        return segment.get(ValueLayout.JAVA_BYTE, at + offset);
    }

    private KvmSegment setByte(long offset, int value) {
        segment.set(ValueLayout.JAVA_BYTE, at + offset, (byte) value);
        return this;
    }

    @Override
    public String toString() {
        return "%04x(base=%x limit=%x type=%x dpl=%d%s%s%s)"
                .formatted(
                        selector(),
                        base(),
                        limit(),
                        type(),
                        dpl(),
                        l() != 0 ? " 64" : db() != 0 ? " 32" : " 16",
                        present() != 0 ? "" : " absent",
                        unusable() != 0 ? " unusable" : "");
    }
}
