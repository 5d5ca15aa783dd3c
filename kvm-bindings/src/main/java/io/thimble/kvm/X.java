package io.thimble.kvm;

/** Placeholder. */
public final class X {
    private X() {}
}
